#include <cstdlib>
#include <string>

#include "core/profile.h"
#include "core/propose.h"
#include "core/transform.h"
#include "wall/guard.h"
#include "wall/wall.h"

namespace wall {

namespace {

std::string_view View(Text t) {
    return {t.data, t.len};
}

}  // namespace

vm::Profiler* NewProfile() noexcept {
    Problem problem;
    return Guard(&problem, static_cast<vm::Profiler*>(nullptr), [] { return new vm::Profiler; });
}

void Free(vm::Profiler* profile) noexcept {
    delete profile;
}

Reason AddToProfile(vm::Profiler* profile, vm::Workspace* space, Text doc, Text id,
                    const ReadOptions& options) noexcept {
    Problem problem;
    const Reason reason = Guard(&problem, Reason::Internal, [&] {
        const Reason r = space->Read(View(doc), options.utf8, options.judged, false, options.cancel);
        if (r == Reason::None) profile->Add(space->tape, View(id));
        return r;
    });
    return problem.reason != Reason::None ? problem.reason : reason;
}

uint64_t ProfileDocuments(const vm::Profiler* profile) noexcept {
    return profile->documents();
}

uint64_t ProfileNotObjects(const vm::Profiler* profile) noexcept {
    return profile->not_objects();
}

size_t ProfileRows(const vm::Profiler* profile) noexcept {
    return profile->Rows();
}

void ReadProfileRow(const vm::Profiler* profile, size_t i, ProfileRow* row) noexcept {
    Problem problem;
    Guard(&problem, 0, [&] {
        const vm::PathProfile& path = profile->Row(i);
        vm::CopyCut(row->path, path.path());
        vm::CopyCut(row->types, path.types());
        row->documents = path.documents();
        row->nulls = path.nulls();
        row->distinct = path.distinct();
        row->has_distinct = path.scalars() > 0;
        vm::CopyCut(row->smallest, path.smallest());
        vm::CopyCut(row->largest, path.largest());
        vm::CopyCut(row->sample_id, path.sample_id());
        return 0;
    });
}

char* ProposeScript(const vm::Profiler* profile, Text parent, Text mapping, Text schema,
                    Text source) noexcept {
    Problem problem;
    return Guard(&problem, static_cast<char*>(nullptr), [&] {
        const std::string script =
            vm::Propose(*profile, View(parent), View(mapping), View(schema), View(source));
        char* text = static_cast<char*>(std::malloc(script.size() + 1));
        if (text != nullptr) std::memcpy(text, script.c_str(), script.size() + 1);
        return text;
    });
}

void FreeText(char* text) noexcept {
    std::free(text);
}

}  // namespace wall
