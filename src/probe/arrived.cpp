// A look at what libpq will read next; see arrived.hpp.

#include "probe/arrived.hpp"

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/types.h>

namespace pg_status {
namespace {

using Peek = int (*)(void* ssl, void* buffer, int size);

// SSL_peek of the OpenSSL that libpq itself uses, of which a process may have several. nullptr when
// there is none.
Peek FindPeek() {
  Dl_info libpq{};
  if (dladdr(reinterpret_cast<const void*>(&PQconnectPoll), &libpq) == 0) return nullptr;
  void* const handle = dlopen(libpq.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return nullptr;
  void* const found = dlsym(handle, "SSL_peek");
  dlclose(handle);  // it stays loaded: we are linked with it
  return reinterpret_cast<Peek>(found);
}

}  // namespace

std::size_t PeekArrived(PGconn* connection, char* bytes, std::size_t size) {
  ssize_t got = 0;
  if (PQsslInUse(connection) == 0) {
    got = recv(PQsocket(connection), bytes, size, MSG_PEEK | MSG_DONTWAIT);
  } else if (void* const ssl = PQsslStruct(connection, "OpenSSL")) {
    const Peek peek = FindPeek();
    if (peek != nullptr) got = peek(ssl, bytes, static_cast<int>(size));
  }
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

}  // namespace pg_status
