#include "model.h"

#include <algorithm>
#include <deque>
#include <string_view>
#include <type_traits>
#include <unordered_map>

namespace vm_model {
namespace {

static_assert(std::has_unique_object_representations_v<State>, "states are compared by their bytes");

std::string_view BytesOf(const State& s) {
    return {reinterpret_cast<const char*>(&s), sizeof(s)};
}

struct SameState {
    bool operator()(const State& a, const State& b) const { return BytesOf(a) == BytesOf(b); }
};

struct HashState {
    size_t operator()(const State& s) const { return std::hash<std::string_view>()(BytesOf(s)); }
};

struct Origin;
using Visited = std::unordered_map<State, Origin, HashState, SameState>;

struct Origin {
    const Visited::value_type* before;  // NULL for the first state
    Step step;
};

std::string Describe(const World& world, const Step& step) {
    static const char* const names[] = {"",
                                        "UPDATE",
                                        "DELETE",
                                        "SELECT FOR UPDATE",
                                        "EXECUTE",
                                        "INSERT ON CONFLICT into parent",
                                        "INSERT ON CONFLICT into child",
                                        "UPDATE child",
                                        "move"};
    std::string text = world.players[step.actor].name;
    text.append(", ").append(names[static_cast<int>(step.op)]).append(": ").append(step.text);
    return step.doc ? text.append(" ").append(std::to_string(step.doc)) : text;
}

std::vector<std::string> Trace(const World& world, const Origin& last) {
    std::vector<std::string> trace;
    for (const Origin* at = &last; at->before; at = &at->before->second)
        trace.push_back(Describe(world, at->step));
    std::reverse(trace.begin(), trace.end());
    return trace;
}

bool MoverIsBusy(const World& world, const State& s) {
    for (size_t i = 0; i < world.players.size(); i++)
        if (world.players[i].role == Role::kMover && s.actor[i].op != Op::kIdle) return true;
    return false;
}

}  // namespace

Result Explore(const World& world) {
    Result result = {};
    Visited visited;
    std::deque<const Visited::value_type*> queue;  // breadth first: the first trace is the shortest

    auto report = [&](const char* violation, const Origin& last) {
        if (result.traces.count(violation) == 0) result.traces[violation] = Trace(world, last);
    };
    auto visit = [&](const State& state, const Origin& origin) {
        auto [entry, is_new] = visited.try_emplace(state, origin);
        if (!is_new) return;
        if (const char* violation = Violated(world, state))
            report(violation, origin);
        else
            queue.push_back(&*entry);
    };

    visit(InitialState(world), Origin{});
    while (!queue.empty()) {
        const Visited::value_type* entry = queue.front();
        queue.pop_front();
        size_t open = 0;
        for (const Actor& a : entry->first.actor) open += a.op != Op::kIdle;
        bool stuck = open > 0;  // every open transaction waits for another
        for (const Successor& next : Successors(world, entry->first)) {
            result.steps.insert(next.step.text);
            if (next.step.text != kRollsBack && entry->first.actor[next.step.actor].op != Op::kIdle)
                stuck = false;
            if (next.violation)
                report(next.violation, Origin{entry, next.step});
            else
                visit(next.state, Origin{entry, next.step});
        }
        if (open == 0 && !MovesAll(world, entry->first)) report(kNotMoved, entry->second);
        result.quiet += open == 0;
        result.deadlocks += stuck;
        if (stuck && !MoverIsBusy(world, entry->first)) report(kDeadlock, entry->second);
    }
    result.states = visited.size();
    return result;
}

}  // namespace vm_model
