#include "state.h"

#include <algorithm>
#include <stdexcept>
#include <tuple>

namespace vm_model {

int Rows(const State& s, Table table, int key) {
    return static_cast<int>(std::count_if(s.version.begin(), s.version.end(), [&](const Version& v) {
        return v.Visible() && v.table == table && v.key == key;
    }));
}

int Rows(const State& s, int key) {
    return Rows(s, Table::kParent, key) + Rows(s, Table::kChild, key);
}

bool Quiet(const State& s) {
    return std::all_of(s.actor.begin(), s.actor.end(), [](const Actor& a) { return a.op == Op::kIdle; });
}

Docs VisibleDocs(const State& s) {
    Docs docs = 0;
    for (const Version& v : s.version)
        if (v.Visible()) docs |= Bit(v.doc);
    return docs;
}

static Docs Named(const State& s) {
    Docs named = s.owed | s.anomalies;
    for (const Version& v : s.version) named |= Bit(v.doc);
    for (const Actor& a : s.actor) named |= a.anomalies | Bit(a.hand[0]) | Bit(a.hand[1]);
    return named;
}

Doc Now(const World& world, const State& s) {
    int now = world.keys + 1;
    for (const Docs named = Named(s); named >> now;) now++;
    if (now >= kMaxDocs) throw std::length_error("Docs has no room for so many writes");
    return static_cast<Doc>(now);
}

// Only the order of the documents counts. Those that are gone leave no gap, else two transactions that roll
// back in turn would count up for ever. The keys' first ones keep their number.
static void Renumber(const World& world, State* s) {
    std::array<Doc, kMaxDocs> number = {};
    const Docs named = Named(*s);
    int last = world.keys;
    for (int doc = 1; doc < kMaxDocs; doc++)
        number[doc] = static_cast<Doc>(doc <= world.keys ? doc : last += named >> doc & 1);
    auto all = [&](Docs* docs) {
        Docs renumbered = 0;
        for (int doc = 1; doc < kMaxDocs; doc++)
            if (*docs >> doc & 1) renumbered |= Bit(number[doc]);
        *docs = renumbered;
    };
    all(&s->owed);
    all(&s->anomalies);
    for (Version& v : s->version) v.doc = number[v.doc];
    for (Actor& a : s->actor) {
        all(&a.anomalies);
        for (Doc& doc : a.hand) doc = number[doc];
    }
}

// Versions that nobody can reach any more are dropped, the others sorted.
void Tidy(const World& world, State* s) {
    std::array<bool, kMaxVersions> keep = {};
    for (int i = 0; i < kMaxVersions; i++) keep[i] = s->version[i].doc != 0 && !s->version[i].Dead();
    for (const Actor& a : s->actor)
        for (int seen : a.seen)
            for (int i = seen - 1; i >= 0; i = s->version[i].end == End::kUpdated ? s->version[i].next : -1)
                keep[i] = true;
    std::array<uint8_t, kMaxVersions> order = {};
    int count = 0;
    for (uint8_t i = 0; i < kMaxVersions; i++)
        if (keep[i]) order[count++] = i;
    auto rank = [s](uint8_t i) {
        const Version& v = s->version[i];
        return std::tuple(v.table, v.key, v.doc, v.ender, v.end, v.maker, i);
    };
    std::sort(order.begin(), order.begin() + count, [&](uint8_t a, uint8_t b) { return rank(a) < rank(b); });
    std::array<uint8_t, kMaxVersions> place = {};
    std::array<Version, kMaxVersions> tidy = {};
    for (int i = 0; i < count; i++) place[order[i]] = static_cast<uint8_t>(i);
    for (int i = 0; i < count; i++) {
        tidy[i] = s->version[order[i]];
        tidy[i].next = tidy[i].end == End::kUpdated ? place[tidy[i].next] : 0;
    }
    s->version = tidy;
    for (Actor& a : s->actor)
        for (uint8_t& seen : a.seen)
            if (seen) seen = static_cast<uint8_t>(place[seen - 1] + 1);
    Renumber(world, s);
}

}  // namespace vm_model
