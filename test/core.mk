# The core and its unit tests without PostgreSQL's server headers: GoogleTest, under ASan (which tells of
# leaks, too) and UBSan.
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
CORE_FLAGS = -std=c++17 -O1 -g -D_GLIBCXX_ASSERTIONS $(WARN) $(SANITIZE) -Isrc -Itest/unit -DFMT_HEADER_ONLY \
             $(PG_LIBPQ_INCLUDE) $(shell pkg-config --cflags libuv libcares)

core_sources = $(shell find src -name '*.cpp' -not -path 'src/postgres/*' | sort)
# what is linked with libpq
libpq_sources = src/probe/libpq_link.cpp src/probe/arrived.cpp
pure_rooms = base config judge publish choose answer
# one room is linked with the rooms before it, not with the loop; the loop with all of them
loop_sources = $(filter-out src/wall.cpp,$(core_sources))
only_sources = $(filter $(foreach r,$(pure_rooms),src/$(r)/%),$(core_sources)) \
               $(filter-out $(if $(filter probe,$(ONLY)),,$(libpq_sources)),$(filter src/probe/%,$(core_sources)))
sources = $(if $(ONLY),$(if $(filter loop,$(ONLY)),$(loop_sources),$(only_sources)),$(core_sources))
tests = $(shell find test/unit$(if $(ONLY),/$(ONLY)) -name '*_test.cpp' 2>/dev/null | sort)
objects = $(patsubst %.cpp,$(BUILD)/%.o,$(sources) $(tests))
binary = $(BUILD)/unit-tests$(if $(ONLY),-$(ONLY))

.PHONY: check build
build: $(binary)
check: $(binary) $(if $(ONLY),,replay)
	$(binary) --gtest_filter='$(FILTER)' --gtest_brief=1 $(GTEST_FLAGS)

# The fuzz targets (test/fuzz/run): with libFuzzer, and with a main that tries the inputs of the corpus.
fuzzed_client = src/answer/client.cpp src/answer/request.cpp
fuzzed_facts = $(wildcard src/base/*.cpp) $(addprefix src/probe/,server_facts.cpp history_file.cpp receiver_name.cpp line_text.cpp)
fuzzed_hosts = $(wildcard src/base/*.cpp src/config/*.cpp)
fuzzed_reply = $(filter-out $(libpq_sources),$(filter $(foreach r,base config probe judge publish choose answer,src/$(r)/%),$(core_sources)))
fuzzed_peer = $(fuzzed_reply) $(libpq_sources)
fuzz_libs_peer = $(shell pkg-config --libs libpq)
fuzz_targets = client facts hosts peer reply
replayed = test/fuzz/replay.cpp $(fuzz_targets:%=test/fuzz/%_fuzz.cpp)

.PHONY: replay $(fuzz_targets:%=fuzz-%)
replay: $(fuzz_targets:%=$(BUILD)/replay-%)
	$(foreach target,$(fuzz_targets),$(BUILD)/replay-$(target) test/fuzz/corpus/$(target) &&) true
$(fuzz_targets:%=fuzz-%): fuzz-%: $(BUILD)/fuzz-%

.SECONDARY: $(patsubst %.cpp,$(BUILD)/%.o,$(replayed))
.SECONDEXPANSION:
$(BUILD)/replay-%: $(BUILD)/test/fuzz/replay.o $(BUILD)/test/fuzz/%_fuzz.o $$(addprefix $(BUILD)/,$$(subst .cpp,.o,$$(fuzzed_$$*)))
	$(CXX) $(SANITIZE) -o $@ $^ $(fuzz_libs_$*)
$(BUILD)/fuzz-%: test/fuzz/%_fuzz.cpp $$(fuzzed_$$*)
	@mkdir -p $(BUILD)
	$(CXX) -std=c++17 -g -O2 -DFMT_HEADER_ONLY -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	    -fsanitize-ignorelist=test/fuzz/ignored -Isrc -Itest/unit $(PG_LIBPQ_INCLUDE) -o $@ $^ $(fuzz_libs_$*)

$(binary): $(objects)
	$(CXX) $(SANITIZE) -o $@ $^ -lgtest -lgtest_main -lpthread \
	    $(if $(filter-out loop probe,$(ONLY)),,$(shell pkg-config --libs $(CORE_LIBS)))

$(BUILD)/%.o: %.cpp
	@mkdir -p $(dir $@)
	$(CXX) $(CORE_FLAGS) -MMD -MP -c -o $@ $<

-include $(objects:.o=.d) $(patsubst %.cpp,$(BUILD)/%.d,$(replayed))
