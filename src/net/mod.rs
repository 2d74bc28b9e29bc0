//! One HTTP client set-up: certificates, proxies, retry, limits. (skeleton)
