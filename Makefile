# pg_status, built the PGXS way:  make && make install && make installcheck
#
#   PG_CONFIG=...     which PostgreSQL to build for
#   WERROR=1          warnings are errors
#   SANITIZE=-fsanitize=address   for the compiler and the linker, both languages (test/versions --asan)
#   COPT=...          as in PGXS, more options for the compiler and the linker; here for both languages
#   make check-core   build and test the C++ core alone, without the server's headers, under ASan and UBSan
#   make lint         formatting and the rules between the rooms

EXTENSION = pg_status
MODULE_big = pg_status
DATA = sql/pg_status--1.0.sql sql/pg_status--1.0--1.1.sql
PGFILEDESC = "pg_status - who is the primary, which standby is good enough, what state is this node in"

c_sources = pg_status.c $(sort $(wildcard $(srcdir)/src/postgres/*.c))
core_rooms = base config probe judge publish choose answer loop
cpp_sources = $(sort $(foreach room,. $(core_rooms),$(wildcard $(srcdir)/src/$(room)/*.cpp)))
OBJS = $(patsubst $(srcdir)/%,%,$(c_sources:.c=.o) $(patsubst $(srcdir)/src/./%,$(srcdir)/src/%,$(cpp_sources:.cpp=.o)))

REGRESS = basic settings privileges upgrade
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

srcdir ?= .
PG_CONFIG ?= pg_config

strict = $(if $(WERROR),-Wall -Wextra -Wno-unused-parameter -Werror)
PG_CPPFLAGS = -I$(srcdir)/src -I$(srcdir)/src/postgres -I$(libpq_srcdir) -DFMT_HEADER_ONLY -DBOOST_DISABLE_ASSERTS
# (PGDLLEXPORT is empty before PostgreSQL 16: what the server looks up by name must not be hidden)
PG_CFLAGS = $(strict) -Wno-declaration-after-statement $(SANITIZE)
PG_CXXFLAGS = -std=c++17 -include $(srcdir)/src/base/library_checks.hpp -fvisibility=hidden -fvisibility-inlines-hidden $(strict) $(SANITIZE) $(COPT)
SHLIB_LINK = $(SANITIZE) $(libpq) -luv -lcares -lstdc++

PGXS := $(shell $(PG_CONFIG) --pgxs)
# no bitcode: nothing here is inlined into queries
override with_llvm = no
include $(PGXS)

# what is built in another folder (make -f .../Makefile VPATH=...) needs the sources' folders there
ifdef VPATH
$(shell mkdir -p $(sort $(dir $(OBJS))))
endif

# PGXS knows nothing of headers
$(OBJS): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h $(srcdir)/src/*/*.hpp)
$(OBJS): $(wildcard $(srcdir)/src/answer/page/*.inc)

.PHONY: check-core lint
check-core:
	$(MAKE) -C $(srcdir) -f test/core.mk check

lint:
	$(srcdir)/test/lint
