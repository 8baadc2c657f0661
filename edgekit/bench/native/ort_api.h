/* The part of ONNX Runtime's C interface that is called here, declared by position.
 *
 * The runtime answers OrtGetApiBase()->GetApi(version) with a table of functions whose order never changes: later
 * versions only append. All that is needed stands among the 150 functions of version 5. Version 17 is asked for because
 * the runtime 1.17 is the first that knows opset 20, which EdgeKit exports. */
#ifndef EDGEKIT_BENCH_ORT_API_H
#define EDGEKIT_BENCH_ORT_API_H

#include <stddef.h>
#include <stdint.h>

enum { ORT_API_ASKED = 17 };
enum { ORT_LOG_FATAL = 4, ORT_FLOAT = 1, ORT_UINT8 = 2, ORT_ARENA_ALLOCATOR = 1, ORT_MEMORY_DEFAULT = 0 };

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorInfo OrtTensorInfo;

typedef void (*Unused)(void);

typedef struct {
    Unused unused_0[2];
    const char *(*GetErrorMessage)(const OrtStatus *status);
    OrtStatus *(*CreateEnv)(int log_level, const char *log_id, OrtEnv **out);
    Unused unused_4[3];
    OrtStatus *(*CreateSession)(const OrtEnv *env, const char *path, const OrtSessionOptions *options, OrtSession **out);
    Unused unused_8[1];
    OrtStatus *(*Run)(OrtSession *session, const OrtRunOptions *options, const char *const *input_names,
                      const OrtValue *const *inputs, size_t input_count, const char *const *output_names,
                      size_t output_count, OrtValue **outputs);
    OrtStatus *(*CreateSessionOptions)(OrtSessionOptions **out);
    Unused unused_11[11];
    OrtStatus *(*SetSessionLogSeverityLevel)(OrtSessionOptions *options, int level);
    Unused unused_23[1];
    OrtStatus *(*SetIntraOpNumThreads)(OrtSessionOptions *options, int threads);
    OrtStatus *(*SetInterOpNumThreads)(OrtSessionOptions *options, int threads);
    Unused unused_26[4];
    OrtStatus *(*SessionGetInputCount)(const OrtSession *session, size_t *out);
    OrtStatus *(*SessionGetOutputCount)(const OrtSession *session, size_t *out);
    Unused unused_32[1];
    OrtStatus *(*SessionGetInputTypeInfo)(const OrtSession *session, size_t index, OrtTypeInfo **out);
    OrtStatus *(*SessionGetOutputTypeInfo)(const OrtSession *session, size_t index, OrtTypeInfo **out);
    Unused unused_35[1];
    OrtStatus *(*SessionGetInputName)(const OrtSession *session, size_t index, OrtAllocator *allocator, char **out);
    OrtStatus *(*SessionGetOutputName)(const OrtSession *session, size_t index, OrtAllocator *allocator, char **out);
    Unused unused_38[11];
    OrtStatus *(*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *info, void *data, size_t bytes,
                                                 const int64_t *shape, size_t rank, int type, OrtValue **out);
    Unused unused_50[5];
    OrtStatus *(*CastTypeInfoToTensorInfo)(const OrtTypeInfo *info, const OrtTensorInfo **out); /* borrowed, or NULL */
    Unused unused_56[4];
    OrtStatus *(*GetTensorElementType)(const OrtTensorInfo *info, int *out);
    OrtStatus *(*GetDimensionsCount)(const OrtTensorInfo *info, size_t *out);
    OrtStatus *(*GetDimensions)(const OrtTensorInfo *info, int64_t *out, size_t rank);
    Unused unused_63[6];
    OrtStatus *(*CreateCpuMemoryInfo)(int allocator, int memory, OrtMemoryInfo **out);
    Unused unused_70[6];
    OrtStatus *(*AllocatorFree)(OrtAllocator *allocator, void *memory);
    Unused unused_77[1];
    OrtStatus *(*GetAllocatorWithDefaultOptions)(OrtAllocator **out); /* the runtime's own, not to be released */
    Unused unused_79[13];
    void (*ReleaseEnv)(OrtEnv *env);
    void (*ReleaseStatus)(OrtStatus *status);
    void (*ReleaseMemoryInfo)(OrtMemoryInfo *info);
    void (*ReleaseSession)(OrtSession *session);
    void (*ReleaseValue)(OrtValue *value);
    Unused unused_97[1];
    void (*ReleaseTypeInfo)(OrtTypeInfo *info);
    Unused unused_99[1];
    void (*ReleaseSessionOptions)(OrtSessionOptions *options);
    Unused unused_101[29];
    OrtStatus *(*AddSessionConfigEntry)(OrtSessionOptions *options, const char *key, const char *value);
} OrtApi;

typedef struct {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} OrtApiBase;

#define AT(function, index) _Static_assert(offsetof(OrtApi, function) == (index) * sizeof(Unused), #function)
AT(GetErrorMessage, 2);
AT(CreateEnv, 3);
AT(CreateSession, 7);
AT(Run, 9);
AT(CreateSessionOptions, 10);
AT(SetSessionLogSeverityLevel, 22);
AT(SetIntraOpNumThreads, 24);
AT(SetInterOpNumThreads, 25);
AT(SessionGetInputCount, 30);
AT(SessionGetOutputCount, 31);
AT(SessionGetInputTypeInfo, 33);
AT(SessionGetOutputTypeInfo, 34);
AT(SessionGetInputName, 36);
AT(SessionGetOutputName, 37);
AT(CreateTensorWithDataAsOrtValue, 49);
AT(CastTypeInfoToTensorInfo, 55);
AT(GetTensorElementType, 60);
AT(GetDimensionsCount, 61);
AT(GetDimensions, 62);
AT(CreateCpuMemoryInfo, 69);
AT(AllocatorFree, 76);
AT(GetAllocatorWithDefaultOptions, 78);
AT(ReleaseEnv, 92);
AT(ReleaseStatus, 93);
AT(ReleaseMemoryInfo, 94);
AT(ReleaseSession, 95);
AT(ReleaseValue, 96);
AT(ReleaseTypeInfo, 98);
AT(ReleaseSessionOptions, 100);
AT(AddSessionConfigEntry, 130);
#undef AT

#endif
