/* A plugin of qemu's user mode: how many instructions edgekit_bench has executed at each step that it takes.
 *
 * It writes lines to qemu's log (-d plugin -D FILE; without a log, qemu reads no symbols): `enter EXECUTED` where
 * run_model begins, `in EXECUTED` where it goes on, and `look EXECUTED` where anything reads the clock, as XNNPACK in
 * ExecuTorch does after each operator. With profile=on, `ran ADDRESS INSTRUCTIONS TIMES` of each block of code since
 * the last line, and `map LINE` of /proc/self/maps, come before. The counts are of one thread.
 * Debian has no header for qemu's plugin interface (version 1, qemu 4.2 to 8.2): what is used of it is declared here. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t Id;
typedef struct Block Block; /* of translated code */
typedef struct Instruction Instruction;
typedef void (*OnBlock)(Id, Block *);
typedef void (*OnRun)(unsigned vcpu, void *data);
typedef void (*OnCall)(Id, unsigned vcpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t);
enum { ADD = 0, NO_REGISTERS = 0, CLOCK_GETTIME = 113 }; /* the call's number on arm64 */

size_t qemu_plugin_tb_n_insns(const Block *block);
uint64_t qemu_plugin_tb_vaddr(const Block *block);
Instruction *qemu_plugin_tb_get_insn(const Block *block, size_t index);
const char *qemu_plugin_insn_symbol(const Instruction *instruction);
void qemu_plugin_outs(const char *text);
void qemu_plugin_register_vcpu_tb_trans_cb(Id id, OnBlock call);
void qemu_plugin_register_vcpu_tb_exec_cb(Block *block, OnRun call, int flags, void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(Block *block, int operation, void *number, uint64_t value);
void qemu_plugin_register_vcpu_syscall_cb(Id id, OnCall call);

EXPORT int qemu_plugin_version = 1;

typedef struct Ran {
    struct Ran *next;
    uint64_t address, instructions, times;
} Ran;

static uint64_t executed, first; /* `first` is the address of run_model */
static bool profile;
static Ran *all;

static void say(const char *format, ...) {
    char line[4200];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof line, format, values);
    va_end(values);
    qemu_plugin_outs(line);
}

static void say_profile(void) {
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, ".so") != NULL) say("map %s", line);
    }
    if (maps != NULL) fclose(maps);
    for (Ran *ran = all; ran != NULL; ran = ran->next) {
        if (ran->times == 0) continue;
        say("ran %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", ran->address, ran->instructions, ran->times);
        ran->times = 0;
    }
}

static void step(unsigned vcpu, void *what) {
    (void)vcpu;
    if (profile) say_profile();
    say("%s %" PRIu64 "\n", (const char *)what, executed);
}

static void called(Id id, unsigned vcpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                   uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == CLOCK_GETTIME) step(vcpu, "look");
}

static void translated(Id id, Block *block) {
    (void)id;
    const uint64_t instructions = qemu_plugin_tb_n_insns(block), address = qemu_plugin_tb_vaddr(block);
    const char *symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
    if (symbol != NULL && strcmp(symbol, "run_model") == 0) {
        if (first == 0) first = address; /* what is translated first is what runs first */
        qemu_plugin_register_vcpu_tb_exec_cb(block, step, NO_REGISTERS, address == first ? "enter" : "in");
    }
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &executed, instructions);
    if (!profile) return;
    Ran *ran = calloc(1, sizeof *ran);
    if (ran == NULL) abort();
    *ran = (Ran){all, address, instructions, 0};
    all = ran;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &ran->times, 1);
}

EXPORT int qemu_plugin_install(Id id, const void *info, int count, char **arguments) {
    (void)info;
    for (int i = 0; i < count; i++) profile = profile || strcmp(arguments[i], "profile=on") == 0;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
