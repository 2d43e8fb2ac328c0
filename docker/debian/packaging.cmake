# What `cmake --install` puts below a prefix, and `cpack -G DEB` into a package: the same.
include(GNUInstallDirs)
install(TARGETS postern RUNTIME DESTINATION bin)
install(TARGETS postern-resolver RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/postern)

# Debian's release; empty: another system, or one that has no number yet.
set(debian_release "")
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release release REGEX "^VERSION_ID=")
  string(REGEX REPLACE "[^0-9]" "" debian_release "${release}")
endif()
set(systemd_reloads ON)  # Type=notify-reload, of systemd 253
if(debian_release AND debian_release LESS 13)
  set(systemd_reloads OFF)
endif()

install(CODE "
  set(source \"${CMAKE_SOURCE_DIR}\")
  set(scratch \"${CMAKE_BINARY_DIR}/install\")
  set(program \"$<TARGET_FILE:postern>\")
  set(systemd_reloads ${systemd_reloads})
  file(MAKE_DIRECTORY \${scratch})")
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/install_rest.cmake)

set(POSTERN_REVISION 1 CACHE STRING "of the package, where the version is the same")
set(revision ${POSTERN_REVISION})
if(debian_release)
  string(APPEND revision "~deb${debian_release}u1")
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME postern)
set(CPACK_PACKAGE_VERSION ${version})
set(CPACK_PACKAGE_CONTACT "Postern maintainers <maintainers@postern.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "transparent TLS gateway for SMTP")
set(CPACK_PACKAGE_DESCRIPTION
    "Postern stands beside a mail server that speaks only plaintext and gives\n\
it TLS: clients reach it by STARTTLS or implicit TLS, and its own mail\n\
leaves with TLS, by DANE, MTA-STS and the operator's policy. It has no\n\
queue: a message is accepted only when the server behind has accepted it.")
set(CPACK_SET_DESTDIR ON)  # there is more than a prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${revision})
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, dns-root-data")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(name postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/${name})
endforeach()
include(CPack)
