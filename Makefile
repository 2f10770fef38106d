# The extension is built by PGXS; the goals in GOALS need no PostgreSQL yet and call a script.
.DEFAULT_GOAL := all

MODULE_big = voucher_migrate
EXTENSION = voucher_migrate
DATA = $(wildcard voucher_migrate--*.sql)
OBJS := $(patsubst %.cpp,%.o,$(sort $(wildcard $(addprefix src/,core/*.cpp wall/*.cpp pg/*/*.cpp))))

# Every test file is in the list, in the order of its name.
REGRESS := $(basename $(notdir $(sort $(wildcard sql/*.sql))))
ISOLATION := $(basename $(notdir $(sort $(wildcard test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test/isolation --encoding=UTF8 --no-locale
REGRESS_OPTS = --encoding=UTF8 --no-locale

# The server's headers as system headers: only our own warnings show.
PG_CPPFLAGS = -Isrc -isystem $(includedir_server) -isystem $(includedir_internal)
PG_CXXFLAGS = -std=c++17 -Wall -Wextra -O2 -MMD -MP $(if $(findstring clang,$(CXX)),$(CLANG_CXXFLAGS))
# The server's flags may be those of g++, and its headers say `register`.
CLANG_CXXFLAGS = -Wno-register -Wno-unknown-warning-option -Wno-ignored-optimization-argument
SHLIB_LINK += -lstdc++
override with_llvm := no

EXTRA_CLEAN = build $(OBJS:.o=.d)

GOALS = test unit fuzz demo bench lint format reference runbook
.PHONY: $(GOALS)

test:
	@test/run
unit fuzz lint:
	@test/run $@
demo:
	@DOCS='$(DOCS)' test/demo/run
bench:
	@test/bench/run
format:
	@test/format -i
reference runbook:
	@test/$@/run -i

# PGXS is left out for these goals, and for `clean` where there is none.
ifneq (,$(filter-out $(GOALS),$(or $(MAKECMDGOALS),all)))
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq (,$(wildcard $(PGXS)))
include $(PGXS)

# What only this library calls need not be replaceable from outside: calls within it are direct.
src/core/%.o src/wall/%.o: override CXXFLAGS += -O3 -fvisibility=hidden -fvisibility-inlines-hidden
src/core/json_reader.o: override CXXFLAGS += -fwrapv
-include $(OBJS:.o=.d)

else ifeq (clean,$(MAKECMDGOALS))
clean:
	rm -rf $(MODULE_big).so $(OBJS) $(EXTRA_CLEAN)
else
$(error no PGXS from "$(PG_CONFIG) --pgxs": install postgresql-server-dev-NN, or set PG_CONFIG)
endif
endif
