//! Differences between states of bases, as a table.

use crate::base::renew::Change;

/// Columns: base, package, versions, security, platforms.
pub(super) fn table(changes: &[Change]) -> String {
    let rows: Vec<[String; 5]> = changes.iter().map(row).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .filter(|(_, width)| *width > 0)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    lines.join("\n")
}

fn row(change: &Change) -> [String; 5] {
    let versions = match (&change.before, &change.now) {
        (Some(before), Some(now)) => format!("{before} → {now}"),
        (None, Some(now)) => format!("added {now}"),
        (Some(before), None) => format!("removed {before}"),
        (None, None) => String::new(),
    };
    let security = if change.security == Some(true) {
        "security"
    } else {
        ""
    };
    [
        change.base.clone(),
        change.package.clone(),
        versions,
        security.to_owned(),
        change.platforms.join(", "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_ones_go() {
        let change = |package: &str, before: Option<&str>, now: Option<&str>| Change {
            base: "cc".to_owned(),
            package: package.to_owned(),
            before: before.map(str::to_owned),
            now: now.map(str::to_owned),
            platforms: vec!["linux/amd64".to_owned()],
            security: None,
        };
        let mut changes = vec![
            change("libc6", Some("2.41-1"), Some("2.41-2")),
            change("zlib1g", None, Some("1.3")),
            change("old", Some("1"), None),
        ];
        assert_eq!(
            table(&changes),
            "cc  libc6   2.41-1 → 2.41-2  linux/amd64\n\
             cc  zlib1g  added 1.3        linux/amd64\n\
             cc  old     removed 1        linux/amd64"
        );
        changes.truncate(1);
        changes[0].security = Some(true);
        assert_eq!(
            table(&changes),
            "cc  libc6  2.41-1 → 2.41-2  security  linux/amd64"
        );
    }
}
