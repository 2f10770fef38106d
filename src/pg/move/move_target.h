// What a move works on: child, parent, key, the way rows take, and the SQL for it.
#pragma once

#include "pg/server/compat.h"
#include "pg/mapping/plan_cache.h"

// What becomes of a row whose key stands in the parent already.
enum class OnConflict { Newer, Overwrite, Keep, Error };

// How rows of the child are taken. Claim: without waiting; who comes too late gets 40001. Lock: the child is
// locked for the batch; who comes too late waits.
enum class Locking { Claim, Lock };

struct MoveOptions {
    char* filter;  // the caller's condition on the child's rows, or NULL
    OnConflict on_conflict;
    Locking locking;
    char* key_index;  // the parent's unique index that says which rows are the same; NULL: chosen
};

// In a memory context of its own; names and SQL stay valid over commits, the relations are open only between
// OpenTarget and CloseTarget.
struct MoveTarget {
    MemoryContext context;
    MemoryContext rows;  // for the rows of a batch; keeps its memory when it is reset
    Oid schema;          // of the extension
    Oid child_oid;
    Oid parent_oid;
    Relation child;
    Relation parent;
    uint64 generation;  // of the relations' definitions
    MoveOptions options;
    CompiledMapping* compiled;

    // The way rows take.
    Locking locking;     // what was asked for, unless the child allows only a lock
    bool native_delete;  // rows are claimed in the table itself
    bool native_insert;  // and written there; conflicts still go by SQL
    bool truncates;      // rows stay in the child, which is emptied in the end
    char* path;          // "native" or "SQL", and why, for people

    bool partitioned;   // the parent
    bool row_security;  // of the parent, for the caller
    bool unique;        // a key stands in the child once
    bool same_keys;     // else: rows with one key are found by an index of the child, and move together
    AttrNumber* map;    // for each column of the parent the child's, 0 for none
    int needed;         // columns of the child to read
    TupleDesc row;      // the parent's columns and `number`, an integer: the row in its batch

    // SQL; every name quoted.
    char* number;  // the column of `row` that is not the parent's
    char* child_name;
    char* parent_name;
    char* parent_only;      // the same without its children
    char* columns;          // a, b, c: those of the parent that are not generated
    char* compared;         // the same without identities, which are another each time
    char* child_columns;    // of the child, but not _id and _doc
    char* key;              // columns of the key
    char* order;            // newest first, within a key
    char* match;            // vm_p.k = vm_c.k AND …
    char* watermark_c;      // of the child's row vm_c, a timestamptz or NULL
    char* watermark_p;      // of the parent's row vm_p
    char* conflict_clause;  // ON CONFLICT …
    char* deferred;         // names of the parent's deferred constraints, or NULL
    bool has_id;
    mutable int conflicts_expected;  // batches for which a plain INSERT is not worth trying
};

// The parent of a child: what it inherits, or what vm_create_child noted. Error: none, or several (42809).
Oid ParentOf(Oid schema, Oid child);

// The index that says which rows are the same: the primary key, or the first that will do. InvalidOid if
// there is none.
Oid FindKeyIndex(Oid parent);

// Whether an index of the child keeps out what the parent's unique index would: the same columns or
// expressions in any order, operator classes, collations, predicate, and NULLs equal or not.
bool UniqueInChild(Oid child, Oid index);

// GREATEST over the mapping's watermark columns of the row `alias`, as timestamptz in UTC; NULL::timestamptz
// without any.
char* WatermarkSql(const CompiledMapping* compiled, const char* alias);

// The words of the options; errors name the argument (22023).
OnConflict OnConflictOf(const char* word);
Locking LockingOf(const char* word);
const char* WordOf(OnConflict on_conflict);

// Works out all of the above and checks the caller's rights. Errors: no child of one parent or no trigger
// (42809), no key (42704), a right is missing (42501).
MoveTarget* BuildTarget(Oid schema, Oid child, const MoveOptions* options, MemoryContext parent);

// Locks and opens the relations until the transaction's end; builds the target anew where their definitions
// have changed. The child is locked EXCLUSIVE if the way of its rows asks for it.
void OpenTarget(MoveTarget** target);
void CloseTarget(MoveTarget* target);

// Whether a column of the child is _id or _doc and not the parent's.
bool IsFeedsOwn(const MoveTarget* target, const char* name);
