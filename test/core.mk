# The core and its unit tests without PostgreSQL's server headers: GoogleTest, under ASan and UBSan.
#
#   make -f test/core.mk check [ONLY=judge] [FILTER='Lag.*']     from the top of the tree
#
# ONLY: build and run the tests of one room. BUILD: where objects go. WERROR=1: warnings are errors (CI).
# The rule this build proves: nothing in src/ outside src/postgres includes postgres.h.

BUILD ?= build/core
CXX ?= g++
ONLY ?=
FILTER ?= *
SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
WARN = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion $(if $(WERROR),-Werror)
PG_LIBPQ_INCLUDE ?= $(shell pkg-config --cflags libpq)
CORE_LIBS = libuv libcares libpq
CORE_FLAGS = -std=c++17 -O1 -g $(WARN) $(SANITIZE) -Isrc -Itest/unit -DFMT_HEADER_ONLY \
             $(PG_LIBPQ_INCLUDE) $(shell pkg-config --cflags libuv libcares)

core_sources = $(shell find src -name '*.cpp' -not -path 'src/postgres/*' | sort)
pure_rooms = base config judge publish choose answer
# one room is linked with the rooms before it, not with the loop
only_sources = $(filter $(foreach r,$(pure_rooms),src/$(r)/%),$(core_sources)) \
               $(filter-out %libpq_link.cpp,$(filter src/probe/%,$(core_sources)))
sources = $(if $(ONLY),$(only_sources),$(core_sources))
tests = $(shell find test/unit$(if $(ONLY),/$(ONLY)) -name '*_test.cpp' 2>/dev/null | sort)
objects = $(patsubst %.cpp,$(BUILD)/%.o,$(sources) $(tests))
binary = $(BUILD)/unit-tests$(if $(ONLY),-$(ONLY))

.PHONY: check build
build: $(binary)
check: $(binary)
	$(binary) --gtest_filter='$(FILTER)' --gtest_brief=1 $(GTEST_FLAGS)

$(binary): $(objects)
	$(CXX) $(SANITIZE) -o $@ $^ -lgtest -lgtest_main -lpthread \
	    $(if $(ONLY),,$(shell pkg-config --libs $(CORE_LIBS)))

$(BUILD)/%.o: %.cpp
	@mkdir -p $(dir $@)
	$(CXX) $(CORE_FLAGS) -MMD -MP -c -o $@ $<

-include $(objects:.o=.d)
