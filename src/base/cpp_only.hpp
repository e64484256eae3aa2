// The wall, checked by the compiler: the core is never compiled together with the server's headers.
//
// Included last by every .hpp of the core. postgres.h redefines printf, sigsetjmp and more, and its
// errors are longjmps that would skip C++ destructors; the one place where the two worlds meet is
// wall.h. (No include guard on purpose: the check must run at every inclusion.)
#ifdef POSTGRES_H
#error "a header of the C++ core was included after postgres.h; use wall.h from C"
#endif
