//! Tests of layer.
