//! Symbolic links of a base, as whoever unpacks a layer meets them.

/// As many links as Linux follows in one path (`path_resolution(7)`).
pub(crate) const LINK_LIMIT: usize = 40;

/// Where a path leads once every link on it is followed; `target` tells where a link leads.
/// Absolute links count from the image's root, and `..` stops there. None for a loop.
pub(crate) fn follow<'a>(
    path: &'a str,
    target: impl Fn(&str) -> Option<&'a str>,
) -> Option<String> {
    let mut done: Vec<&str> = Vec::new();
    let mut todo: Vec<&str> = path.rsplit('/').collect();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        match part {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        if let Some(target) = target(&done.join("/")) {
            links += 1;
            if links > LINK_LIMIT {
                return None;
            }
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            todo.extend(target.rsplit('/'));
        }
    }
    Some(done.join("/"))
}
