//! Tests of deployment.
