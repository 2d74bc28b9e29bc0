//! Reading layers: (skeleton)
