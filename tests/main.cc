// Catch2 3 brings its own main; Catch2 2 wants one file that asks for it.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
