//! The folder of a layout: what a run made and could not fill, it takes away again.

use std::path::{Path, PathBuf};

use crate::image::{ImageError, Layout};

/// A layout that is being written.
pub(super) struct Folder {
    layout: Layout,
    /// Held by all who write here: a folder that another process fills is not taken away.
    busy: fs_err::File,
    new: New,
}

/// The folders that were not there, the deepest first.
struct New(Vec<PathBuf>);

impl Folder {
    /// Opens or makes the layout of a folder.
    ///
    /// # Errors
    /// Those of [`Layout::create`] and [`Layout::mark_as_output`].
    pub(super) fn create(dir: &Path) -> Result<Self, ImageError> {
        let new = New::above(dir);
        match open(dir) {
            Ok((layout, busy)) => Ok(Self { layout, busy, new }),
            Err(error) => {
                new.remove();
                Err(error)
            }
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Gives up writing, and takes away what [`Folder::create`] made.
    pub(super) fn abandon(self) {
        drop(self.busy);
        self.new.remove();
    }
}

fn open(dir: &Path) -> Result<(Layout, fs_err::File), ImageError> {
    // Output folders below a source are never part of it: the mark keeps it so.
    let is_new = !dir.join("oci-layout").exists();
    let layout = Layout::create(dir)?;
    if is_new {
        layout.mark_as_output()?;
    }
    let blobs = dir.join("blobs");
    let failed = |source| ImageError::write(&blobs, source);
    let busy = fs_err::File::open(&blobs).map_err(failed)?;
    busy.lock_shared().map_err(failed)?;
    Ok((layout, busy))
}

impl New {
    fn above(dir: &Path) -> Self {
        let missing = |folder: &&Path| {
            !folder.as_os_str().is_empty() && fs_err::symlink_metadata(folder).is_err()
        };
        let folders = dir.ancestors().take_while(missing);
        Self(folders.map(Path::to_owned).collect())
    }

    /// Removes them, unless an image is there or on its way. What can't be removed stays: the error that led here is the one to report.
    fn remove(&self) {
        let Some((layout, above)) = self.0.split_first() else {
            return;
        };
        let blobs = fs_err::File::open(layout.join("blobs"));
        let busy = blobs.as_ref().is_ok_and(|blobs| blobs.try_lock().is_err());
        if busy || layout.join("index.json").exists() {
            return;
        }
        let _stays = fs_err::remove_dir_all(layout);
        for folder in above {
            // Only while it is empty.
            let _stays = fs_err::remove_dir(folder);
        }
    }
}
