//! `ListGroups` (16): there are no groups.

use super::{Beginning, Head, answered, decode_body};
use crate::wire::Reader;
use crate::wire::messages::list_groups_request::ListGroupsRequest;
use crate::wire::messages::list_groups_response::ListGroupsResponse;

pub(super) fn begin(head: Head, reader: Reader<'_>) -> Beginning {
    let _ = decode_body!(ListGroupsRequest<'_>, head, reader);
    let response = ListGroupsResponse::default();
    answered(head, |version, writer| response.encode(version, writer))
}
