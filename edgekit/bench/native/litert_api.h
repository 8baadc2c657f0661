/* The part of LiteRT's C interface that is called here. Its functions are found by name while the runner runs.
 *
 * Since 2.1.6 a model is opened within an environment; before, the function of the same name took other arguments.
 * LiteRtCreateModelFromFd came in that release: a library without it is too old. */
#ifndef EDGEKIT_BENCH_LITERT_API_H
#define EDGEKIT_BENCH_LITERT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LITERT_OK = 0 };
enum { LITERT_FLOAT32 = 1, LITERT_UINT8 = 3 };
enum { LITERT_RANKED = 0, LITERT_MOST_SIZES = 8 };
enum { LITERT_CPU = 1 };          /* a bit of a set of accelerators */
enum { LITERT_MIN_SEVERITY = 25 }; /* an option of an environment, whose value is a whole number */
enum { LITERT_WHOLE = 2, LITERT_SILENT = 5 };

typedef struct LiteRtEnvironment LiteRtEnvironment;
typedef struct LiteRtModel LiteRtModel;
typedef struct LiteRtSignature LiteRtSignature;
typedef struct LiteRtSubgraph LiteRtSubgraph;
typedef struct LiteRtTensor LiteRtTensor;
typedef struct LiteRtOptions LiteRtOptions;
typedef struct LiteRtOpaqueOptions LiteRtOpaqueOptions;
typedef struct LiteRtCompiledModel LiteRtCompiledModel;
typedef struct LiteRtTensorBuffer LiteRtTensorBuffer;

typedef struct {
    int tag;
    struct {
        int type;
        int64_t whole;
    } value;
} LiteRtEnvOption;

typedef struct {
    int element_type;
    struct {
        unsigned int rank : 7, has_strides : 1;
        int32_t sizes[LITERT_MOST_SIZES];
        uint32_t strides[LITERT_MOST_SIZES];
    } layout;
} LiteRtTensorType;

_Static_assert(sizeof(LiteRtEnvOption) == 24, "an option of an environment");
_Static_assert(sizeof(LiteRtTensorType) == 72 && offsetof(LiteRtTensorType, layout.sizes) == 8, "a tensor's type");

/* RETURNS, NAME, PARAMETERS of each function; every status is one of the runtime's numbers, 0 where all is well. */
#define LITERT_FUNCTIONS(FUNCTION)                                                                                     \
    FUNCTION(int, CreateEnvironment, (int count, const LiteRtEnvOption *options, LiteRtEnvironment **out))             \
    FUNCTION(void, DestroyEnvironment, (LiteRtEnvironment * environment))                                              \
    FUNCTION(int, CreateModelFromFile, (LiteRtEnvironment * environment, const char *path, LiteRtModel **out))         \
    FUNCTION(int, CreateModelFromFd,                                                                                   \
             (LiteRtEnvironment * environment, int file, size_t offset, size_t bytes, LiteRtModel **out))              \
    FUNCTION(void, DestroyModel, (LiteRtModel * model))                                                                \
    FUNCTION(int, GetModelSignature, (LiteRtModel * model, size_t index, LiteRtSignature **out))                       \
    FUNCTION(int, GetSignatureSubgraph, (LiteRtSignature * signature, LiteRtSubgraph **out))                           \
    FUNCTION(int, GetNumSubgraphInputs, (LiteRtSubgraph * subgraph, size_t *out))                                      \
    FUNCTION(int, GetSubgraphInput, (LiteRtSubgraph * subgraph, size_t index, LiteRtTensor **out))                     \
    FUNCTION(int, GetNumSubgraphOutputs, (LiteRtSubgraph * subgraph, size_t *out))                                     \
    FUNCTION(int, GetSubgraphOutput, (LiteRtSubgraph * subgraph, size_t index, LiteRtTensor **out))                    \
    FUNCTION(int, GetTensorTypeId, (LiteRtTensor * tensor, int *out))                                                  \
    FUNCTION(int, GetRankedTensorType, (LiteRtTensor * tensor, LiteRtTensorType *out))                                 \
    FUNCTION(int, CreateOptions, (LiteRtOptions * *out))                                                               \
    FUNCTION(void, DestroyOptions, (LiteRtOptions * options))                                                          \
    FUNCTION(int, SetOptionsHardwareAccelerators, (LiteRtOptions * options, int accelerators))                         \
    FUNCTION(int, CreateOpaqueOptions,                                                                                 \
             (const char *kind, void *content, void (*drop)(void *content), LiteRtOpaqueOptions **out))                \
    FUNCTION(int, AddOpaqueOptions, (LiteRtOptions * options, LiteRtOpaqueOptions *added))                             \
    FUNCTION(int, CreateCompiledModel,                                                                                 \
             (LiteRtEnvironment * environment, LiteRtModel *model, LiteRtOptions *options, LiteRtCompiledModel **out)) \
    FUNCTION(void, DestroyCompiledModel, (LiteRtCompiledModel * compiled))                                             \
    FUNCTION(int, CreateTensorBufferFromHostMemory,                                                                    \
             (const LiteRtTensorType *type, void *memory, size_t bytes, void (*drop)(void *memory),                    \
              LiteRtTensorBuffer **out))                                                                               \
    FUNCTION(void, DestroyTensorBuffer, (LiteRtTensorBuffer * buffer))                                                 \
    FUNCTION(int, RunCompiledModel,                                                                                    \
             (LiteRtCompiledModel * compiled, size_t signature, size_t inputs, LiteRtTensorBuffer **input,             \
              size_t outputs, LiteRtTensorBuffer **output))

#define LITERT_MEMBER(returns, name, parameters) returns(*name) parameters;
typedef struct {
    LITERT_FUNCTIONS(LITERT_MEMBER)
} LiteRtApi;
#undef LITERT_MEMBER

#endif
