//! Tests of deb_trust.
