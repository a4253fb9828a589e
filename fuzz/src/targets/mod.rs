//! All targets, in one table.

mod backups;
mod credentials;
mod data_files;
mod journal;
mod messages;
mod requests;
mod texts;
mod tokens;

use crate::Target;

/// Every decoder of outside bytes has its row.
pub const TARGETS: &[Target] = &[
    journal::FRAMES,
    journal::SNAPSHOT,
    journal::DOCUMENT,
    journal::PEOPLE,
    journal::MARKERS,
    backups::BACKUP,
    messages::STREAM,
    messages::INGEST,
    messages::READINGS,
    messages::BINARY,
    tokens::TOKEN,
    tokens::CLAIMS,
    credentials::QR,
    credentials::TICKET,
    credentials::PLATE_RECOGNIZER,
    credentials::REKOR,
    texts::VEHICLE,
    texts::FIELDS,
    texts::JSON,
    texts::CONFIG,
    data_files::MELBOURNE_2016,
    data_files::MELBOURNE_2025,
    data_files::BATH,
    requests::HTTP,
];
