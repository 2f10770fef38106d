// A profile to a script: CREATE TABLE for the parent and vm_define_mapping, for a person to read, amend and
// run.
#pragma once

#include <string>
#include <string_view>

#include "core/profile.h"

namespace vm {

// `parent` is the table's name as it is to stand in the script: qualified, quoted where needed. `mapping` and
// `schema`, where the extension lives, are plain names. `source` says in a comment where the documents came
// from; it may be empty. The same profile gives the same script.
std::string Propose(const Profiler& profile, std::string_view parent, std::string_view mapping,
                    std::string_view schema, std::string_view source);

// As the server's quote_ident: in quotes unless it is a plain lower-case name and no key word.
std::string QuoteIdentifier(std::string_view name);

// 'text', for standard_conforming_strings.
std::string QuoteLiteral(std::string_view text);

// restaurant_id for restaurantId; a name that is plain already stays. Never empty, at most 63 bytes.
std::string SnakeCase(std::string_view key);

}  // namespace vm
