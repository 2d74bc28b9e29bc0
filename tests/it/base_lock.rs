//! Tests of base_lock.
