# lib/strake/libstrake-curl.so: libcurl.a with what nothing calls left out, and its own name, so that a
# plugin that brings the system's libcurl.so.4 gets that one. core/util/http.c opens it.
if(NOT EXISTS "${STRAKE_CURL_ARCHIVE}")
  message(FATAL_ERROR "STRAKE_CURL=lean needs STRAKE_CURL_ARCHIVE: a libcurl.a of HTTP alone, "
    "position independent (`./dev curl` makes it and says where it is)")
endif()
set(lean_curl_dir ${CMAKE_CURRENT_LIST_DIR})
set(lean_curl ${CMAKE_BINARY_DIR}/lib/strake/libstrake-curl.so)

# OpenSSL is loaded by the first https: its functions are stubs (tls_stubs.S). Where there are none for
# this processor it is linked as usual.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  execute_process(COMMAND ${CMAKE_NM} -u --format=posix ${STRAKE_CURL_ARCHIVE}
    OUTPUT_VARIABLE undefined COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" undefined "${undefined}")
  list(TRANSFORM undefined REPLACE " .*" "")
  # What of these OpenSSL does not have is found when the stubs are linked: -z defs.
  list(FILTER undefined INCLUDE REGEX
    "^(ASN1|BIO|BN|CRYPTO|ENGINE|ERR|EVP|GENERAL_NAMES|MD5|OCSP|OPENSSL|OpenSSL|PEM|PKCS12|RAND|RSA|SSL|TLS|UI|X509|X509V3|d2i|i2a|i2d|i2t)_")
  list(REMOVE_ITEM undefined OPENSSL_init_ssl)
  list(REMOVE_DUPLICATES undefined)
  list(TRANSFORM undefined REPLACE "(.+)" "LAZY(\\1)\n")
  string(JOIN "" undefined ${undefined})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/lean_curl/tls_names.h CONTENT "${undefined}" @ONLY)
  set(lean_curl_tls -I${CMAKE_BINARY_DIR}/lean_curl ${lean_curl_dir}/tls_stubs.S
    ${lean_curl_dir}/tls_load.c)
else()
  set(lean_curl_tls -lssl -lcrypto)
endif()

add_custom_command(OUTPUT ${lean_curl}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/lib/strake
  COMMAND ${CMAKE_C_COMPILER} -shared -fPIC -O2 -Wall -Wextra -o ${lean_curl}
    -Wl,-soname,libstrake-curl.so -Wl,--whole-archive ${STRAKE_CURL_ARCHIVE} -Wl,--no-whole-archive
    -Wl,--gc-sections -Wl,--version-script=${lean_curl_dir}/exports.map -Wl,-Bsymbolic -Wl,-O1
    -Wl,-z,relro -Wl,-z,defs -Wl,-s -Wl,--as-needed ${lean_curl_tls}
  DEPENDS ${STRAKE_CURL_ARCHIVE} ${lean_curl_dir}/exports.map ${lean_curl_dir}/tls_stubs.S
    ${lean_curl_dir}/tls_load.c
  COMMENT "Linking libcurl for HTTP alone" VERBATIM)
add_custom_target(lean_curl_library ALL DEPENDS ${lean_curl})
add_dependencies(strake_util lean_curl_library)
set_source_files_properties(core/util/http.c PROPERTIES COMPILE_DEFINITIONS STRAKE_LEAN_CURL=1)
install(PROGRAMS ${lean_curl} DESTINATION lib/strake)
