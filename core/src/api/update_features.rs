//! `UpdateFeatures` (57): this broker has no feature that could be raised or lowered.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::shown;
use super::{Beginning, Head, answered, decode_body};
use crate::wire::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use crate::wire::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};
use crate::wire::{ErrorCode, Reader};

/// To raise, to lower without loss, to lower with loss.
const UPGRADE: i8 = 1;
const UPGRADE_TYPES: [i8; 3] = [UPGRADE, 2, 3];

pub(super) fn begin(head: Head, reader: Reader<'_>) -> Beginning {
    let request = decode_body!(UpdateFeaturesRequest<'_>, head, reader);
    let refusals: Vec<Option<String>> =
        request.feature_updates.iter().map(|update| refusal(head, update)).collect();
    let first = refusals.iter().flatten().next();
    let whole = first.map(|reason| format!("no feature was updated, because of one: {reason}"));
    let code = |failed: bool| if failed { ErrorCode::InvalidUpdateVersion } else { ErrorCode::None }.code();
    let results =
        request.feature_updates.iter().zip(&refusals).map(|(update, refusal)| UpdatableFeatureResult {
            feature: update.feature,
            error_code: code(refusal.is_some()),
            error_message: refusal.as_deref(),
            ..UpdatableFeatureResult::default()
        });
    // Since version 2 there is one answer for all, none of which is carried out if any is wrong.
    let response = if head.version >= 2 {
        UpdateFeaturesResponse {
            error_code: code(whole.is_some()),
            error_message: whole.as_deref(),
            ..UpdateFeaturesResponse::default()
        }
    } else {
        UpdateFeaturesResponse { results: results.collect(), ..UpdateFeaturesResponse::default() }
    };
    answered(head, |version, writer| response.encode(version, writer))
}

/// Why an update cannot be done; that a feature shall stay at level 0, which it has, needs nothing.
fn refusal(head: Head, update: &FeatureUpdateKey<'_>) -> Option<String> {
    let level = update.max_version_level;
    let reason = if head.version > 0 && !UPGRADE_TYPES.contains(&update.upgrade_type) {
        "the upgrade type must be 1, 2 or 3"
    } else if level < 0 {
        "a level is at least 0"
    } else if level == 0 {
        return None;
    } else {
        "this broker has no such feature"
    };
    Some(format!("level {level} of feature '{}': {reason}", shown(update.feature)))
}
