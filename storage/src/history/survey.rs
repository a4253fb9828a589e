//! Looks at all of a history that nobody has open: each document is read, and the index must say of them what it
//! has to, and nothing else.

use std::fmt;
use std::path::{Path, PathBuf};

use lotkeeper_engine::lot::{Payment, Posting, Reservation, Session};

use super::document::Document;
use super::keys::Kind;
use super::meta::Meta;
use super::store::Base;
use super::{generations, meta};
use crate::error::JournalError;
use crate::sled_journal::with_limit;

const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// What was found.
pub(crate) struct Survey {
    /// What it says of itself; nothing when it was never begun.
    pub meta: Option<Meta>,
    /// Documents that can be read.
    pub documents: u64,
    /// Entries that are there, and that should be.
    pub entries: (u64, u64),
    /// Entries that should be there and are not.
    pub missing: u64,
}

impl Survey {
    /// Whether it is as it was written.
    pub fn is_whole(&self) -> bool {
        let documents = self.meta.map_or(0, |meta| meta.documents);
        self.documents == documents && self.missing == 0 && self.entries.0 == self.entries.1
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (documents, applied) =
            self.meta.map_or((0, 0), |meta| (meta.documents, meta.applied_seq));
        let (there, wanted) = self.entries;
        write!(
            f,
            "{} of {documents} documents up to record {applied}, {there} of {wanted} entries of its index \
             (format {})",
            self.documents,
            meta::HISTORY_FORMAT
        )
    }
}

/// The newest directory of a history; nothing where there is none.
pub(crate) fn newest(dir: &Path) -> Result<Option<PathBuf>, JournalError> {
    Ok(generations(dir)?.pop())
}

/// Reads all of a directory, which opening may change: of a copy.
pub(crate) fn survey(dir: &Path, seconds_max: u64) -> Result<Survey, JournalError> {
    let (place, dir) = (dir.display().to_string(), dir.to_path_buf());
    with_limit(&place, seconds_max, move || Base::open(&dir, CACHE_BYTES)?.survey())
}

impl Base {
    fn survey(&self) -> Result<Survey, JournalError> {
        let mut survey = Survey { meta: self.meta()?, documents: 0, entries: (0, 0), missing: 0 };
        for entry in self.tree().entries(&[]) {
            let (key, value) = entry.map_err(|error| self.wrong("read", &error))?;
            let Some(first) = key.first() else { continue };
            let kind = [Kind::Reservation, Kind::Session, Kind::Payment, Kind::Posting]
                .into_iter()
                .find(|kind| *kind as u8 == *first);
            let Some(kind) = kind else {
                survey.entries.0 += u64::from(value.is_empty());
                continue;
            };
            match kind {
                Kind::Reservation => self.survey_one::<Reservation>(&value, &mut survey)?,
                Kind::Session => self.survey_one::<Session>(&value, &mut survey)?,
                Kind::Payment => self.survey_one::<Payment>(&value, &mut survey)?,
                Kind::Posting => self.survey_one::<Posting>(&value, &mut survey)?,
            }
        }
        Ok(survey)
    }

    fn survey_one<D: Document>(
        &self,
        bytes: &[u8],
        survey: &mut Survey,
    ) -> Result<(), JournalError> {
        let found = self.decoded::<D>(bytes)?;
        survey.documents += 1;
        let tenant = self.lot(found.stamp.lot)?.map_or(0, |(tenant, _)| tenant);
        for key in D::entries(&found, tenant) {
            survey.entries.1 += 1;
            let there = self.tree().contains(&key).map_err(|error| self.wrong("read", &error))?;
            survey.missing += u64::from(!there);
        }
        Ok(())
    }
}
