//! deployment.yaml: strict parse into valid types. (skeleton)
