# lib/strake/libstrake-curl.so: libcurl.a with what nothing calls left out, and its own name, so that a
# plugin that brings the system's libcurl.so.4 gets that one. core/util/http.c opens it.
if(NOT EXISTS "${STRAKE_CURL_ARCHIVE}")
  message(FATAL_ERROR "STRAKE_CURL=lean needs STRAKE_CURL_ARCHIVE: a libcurl.a of HTTP alone, "
    "position independent (`./dev curl` makes it and says where it is)")
endif()
set(lean_curl ${CMAKE_BINARY_DIR}/lib/strake/libstrake-curl.so)
add_custom_command(OUTPUT ${lean_curl}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/lib/strake
  COMMAND ${CMAKE_C_COMPILER} -shared -o ${lean_curl} -Wl,-soname,libstrake-curl.so
    -Wl,--whole-archive ${STRAKE_CURL_ARCHIVE} -Wl,--no-whole-archive -Wl,--gc-sections
    -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/lean_curl.map -Wl,-Bsymbolic -Wl,-O1 -Wl,-z,relro
    -Wl,-z,defs -Wl,-s -Wl,--as-needed -lssl -lcrypto
  DEPENDS ${STRAKE_CURL_ARCHIVE} ${CMAKE_SOURCE_DIR}/cmake/lean_curl.map
  COMMENT "Linking libcurl for HTTP alone" VERBATIM)
add_custom_target(lean_curl_library ALL DEPENDS ${lean_curl})
add_dependencies(strake_util lean_curl_library)
set_source_files_properties(core/util/http.c PROPERTIES COMPILE_DEFINITIONS STRAKE_LEAN_CURL=1)
install(PROGRAMS ${lean_curl} DESTINATION lib/strake)
