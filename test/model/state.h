// What can be asked of a state, and how it is kept small.
#pragma once

#include "model.h"

namespace vm_model {

constexpr Table kTables[] = {Table::kParent, Table::kChild};

// Rows of a key that a fresh snapshot sees.
int Rows(const State& s, Table table, int key);
int Rows(const State& s, int key);

// No transaction is open.
bool Quiet(const State& s);

// Documents in visible rows.
Docs VisibleDocs(const State& s);

// The time of the next write: later than every document that is named anywhere.
Doc Now(const World& world, const State& s);

// Brings states that behave alike to one form.
void Tidy(const World& world, State* s);

}  // namespace vm_model
