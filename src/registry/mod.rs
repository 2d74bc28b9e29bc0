//! The only module that speaks the distribution protocol. (skeleton)
