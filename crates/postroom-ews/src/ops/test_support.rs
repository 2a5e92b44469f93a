//! What the tests of the operations share.

use postroom_net::BodyPart;

use crate::client::{Content, Reply};
use crate::soap::parse;
use crate::xml::Xml;

/// The body that an operation writes, message contents shown as `{n bytes}`.
pub(crate) fn written(write: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::new();
    write(&mut xml);
    xml.finish()
        .iter()
        .map(|part| match part {
            BodyPart::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => format!("{{{} bytes}}", other.len()),
        })
        .collect()
}

/// What an operation reads from the element below the SOAP body.
pub(crate) fn answer<T>(
    response: &str,
    contents: &[Content],
    read: impl FnOnce(&Reply<'_, '_>) -> T,
) -> T {
    let document = parse(response).unwrap();
    read(&Reply {
        response: document.root_element(),
        contents,
    })
}
