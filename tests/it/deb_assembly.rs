//! Tests of deb_assembly.
