//! Tests of base.
