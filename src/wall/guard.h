// The one catch-all: no exception of the core gets past it.
#pragma once

#include <new>

#include "core/problem.h"

namespace wall {

// Runs f, which returns a T. If it throws: *problem says what, and `failed` is returned.
template <typename T, typename F>
T Guard(vm::Problem* problem, T failed, F f) noexcept {
    try {
        return f();
    } catch (const std::bad_alloc&) {
        problem->reason = vm::Reason::OutOfMemory;
    } catch (...) {
        problem->reason = vm::Reason::Internal;
    }
    return failed;
}

}  // namespace wall
