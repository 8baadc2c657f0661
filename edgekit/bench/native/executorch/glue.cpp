/* ExecuTorch behind a few C functions: libedgekit_executorch.so, linked with the shared libraries of its wheel.
 *
 * Those are built with libstdc++, whose types cross: compile this with a g++, not with zig's libc++. */
#include "glue.h"

#include <executorch/extension/module/module.h>
#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#ifndef EDGEKIT_EXECUTORCH_VERSION
#define EDGEKIT_EXECUTORCH_VERSION "unknown"
#endif

namespace runtime = executorch::runtime;
using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::aten::TensorImpl;
using executorch::extension::Module;
using runtime::Error;

/* The wheel has this library, but not its header. */
namespace executorch::extension::threadpool {
class ThreadPool {
  public:
    bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool *get_threadpool();
} // namespace executorch::extension::threadpool

struct Glue {
    explicit Glue(const char *path) : module(path) {}

    Module module;
    ScalarType type = ScalarType::Undefined; /* of the input */
    std::vector<TensorImpl::SizesType> sizes;
    std::vector<TensorImpl::DimOrderType> order;
};

namespace {

char last_error[400];

void listen(et_timestamp_t, et_pal_log_level_t level, const char *, const char *, size_t, const char *message,
            size_t length) {
    if (level != et_pal_log_level_t::kError && level != et_pal_log_level_t::kFatal) return;
    const size_t kept = std::min(length, sizeof last_error - 1);
    std::memcpy(last_error, message, kept);
    last_error[kept] = '\0';
}

uint32_t number(Error error) { return static_cast<uint32_t>(error); }

Error load(Glue *glue) {
    const Error error = glue->module.load_forward();
    if (error != Error::Ok) return error;
    const auto meta = glue->module.method_meta("forward");
    if (!meta.ok() || meta->num_inputs() == 0) return meta.error();
    const auto input = meta->input_tensor_meta(0);
    if (!input.ok()) return input.error();
    glue->type = input->scalar_type();
    for (const auto size : input->sizes()) {
        glue->order.push_back(static_cast<TensorImpl::DimOrderType>(glue->sizes.size()));
        glue->sizes.push_back(size);
    }
    return Error::Ok;
}

} // namespace

const char *edgekit_executorch_version() { return EDGEKIT_EXECUTORCH_VERSION; }

const char *edgekit_executorch_said() { return last_error; }

uint32_t edgekit_executorch_open(const char *path, uint32_t threads, Glue **opened) {
    runtime::register_pal(runtime::PalImpl::create(listen, "glue.cpp"));
    runtime::runtime_init();
    last_error[0] = '\0';
    if (auto *pool = executorch::extension::threadpool::get_threadpool()) pool->_unsafe_reset_threadpool(threads);
    auto glue = std::make_unique<Glue>(path);
    const Error error = load(glue.get());
    *opened = error == Error::Ok ? glue.release() : nullptr;
    return number(error);
}

void edgekit_executorch_counts(Glue *glue, size_t *inputs, size_t *outputs) {
    const auto meta = glue->module.method_meta("forward");
    *inputs = meta.ok() ? meta->num_inputs() : 0;
    *outputs = meta.ok() ? meta->num_outputs() : 0;
}

uint32_t edgekit_executorch_describe(Glue *glue, int is_output, GlueTensor *tensor) {
    const auto meta = glue->module.method_meta("forward");
    if (!meta.ok()) return number(meta.error());
    const auto found = is_output ? meta->output_tensor_meta(0) : meta->input_tensor_meta(0);
    if (!found.ok()) return number(found.error());
    const auto sizes = found->sizes();
    if (sizes.size() > GLUE_MOST_SIZES) return number(Error::NotSupported);
    tensor->type = static_cast<int>(found->scalar_type());
    tensor->rank = sizes.size();
    std::copy(sizes.begin(), sizes.end(), tensor->sizes);
    return number(Error::Ok);
}

/* The input is set for every run: what the method computes may be written over it. */
uint32_t edgekit_executorch_run(Glue *glue, void *input, float *output, size_t output_bytes) {
    last_error[0] = '\0';
    TensorImpl image(glue->type, static_cast<ssize_t>(glue->sizes.size()), glue->sizes.data(), input,
                     glue->order.data());
    const auto given = glue->module.forward(runtime::EValue(Tensor(&image)));
    if (!given.ok()) return number(given.error());
    if (given->size() != 1 || !given->front().isTensor() || given->front().toTensor().nbytes() != output_bytes) {
        return number(Error::InvalidState);
    }
    std::memcpy(output, given->front().toTensor().const_data_ptr(), output_bytes);
    return number(Error::Ok);
}

void edgekit_executorch_close(Glue *glue) { delete glue; }
