//! Schema versions and server products. Source: ews-schema-versions-in-exchange (Microsoft).

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use roxmltree::Node;

/// A schema version that a request may ask for, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum SchemaVersion {
    Exchange2007Sp1,
    Exchange2010Sp1,
    Exchange2010Sp2,
    Exchange2013Sp1,
}

impl SchemaVersion {
    /// The ones we try, highest first. Exchange 2016, 2019, SE and Online all take 2013 SP1.
    const LADDER: [Self; 4] = [
        Self::Exchange2013Sp1,
        Self::Exchange2010Sp2,
        Self::Exchange2010Sp1,
        Self::Exchange2007Sp1,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange2013Sp1 => "Exchange2013_SP1",
            Self::Exchange2010Sp2 => "Exchange2010_SP2",
            Self::Exchange2010Sp1 => "Exchange2010_SP1",
            Self::Exchange2007Sp1 => "Exchange2007_SP1",
        }
    }

    /// Whether MoveItem tells the new ids.
    pub(crate) const fn tells_new_ids(self) -> bool {
        !matches!(self, Self::Exchange2007Sp1)
    }
}

/// The version in force with one mailbox: a back end may refuse one for this mailbox only.
#[derive(Debug, Default)]
pub(crate) struct Negotiated(AtomicU8);

impl Negotiated {
    pub(crate) fn version(&self) -> SchemaVersion {
        let rung = usize::from(self.0.load(Ordering::Relaxed));
        SchemaVersion::LADDER
            .get(rung)
            .copied()
            .unwrap_or(SchemaVersion::Exchange2007Sp1)
    }

    /// Goes below a version that was refused; `false` where there is none below it.
    pub(crate) fn step_down(&self, refused: SchemaVersion) -> bool {
        let Some(rung) = SchemaVersion::LADDER.iter().position(|v| *v == refused) else {
            return false;
        };
        if rung + 1 >= SchemaVersion::LADDER.len() {
            return false;
        }
        let next = u8::try_from(rung + 1).unwrap_or_default();
        // Two calls may find out at the same time; the lower rung stays.
        self.0.fetch_max(next, Ordering::Relaxed);
        true
    }
}

/// The build of a server, from `ServerVersionInfo`. Its `Version` is never sent back: servers name
/// versions there that no request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerBuild {
    major: u32,
    minor: u32,
    build: u32,
    revision: u32,
}

impl ServerBuild {
    /// Reads the header element, where the answer has one.
    pub(crate) fn read(info: Node<'_, '_>) -> Option<Self> {
        let number = |name| info.attribute(name).and_then(|text| text.parse().ok());
        Some(Self {
            major: number("MajorVersion")?,
            minor: number("MinorVersion")?,
            build: number("MajorBuildNumber").unwrap_or(0),
            revision: number("MinorBuildNumber").unwrap_or(0),
        })
    }
}

impl fmt::Display for ServerBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = match (self.major, self.minor) {
            (8, _) => "Exchange 2007",
            (14, _) => "Exchange 2010",
            (15, 0) => "Exchange 2013",
            (15, 1) => "Exchange 2016",
            (15, 2) => "Exchange 2019 or SE",
            (15, 20) => "Exchange Online",
            _ => "Exchange",
        };
        write!(
            f,
            "{product} ({}.{}.{}.{})",
            self.major, self.minor, self.build, self.revision
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_down_to_the_last_and_never_up() {
        let negotiated = Negotiated::default();
        assert_eq!(negotiated.version().as_str(), "Exchange2013_SP1");
        assert!(negotiated.step_down(SchemaVersion::Exchange2013Sp1));
        assert_eq!(negotiated.version().as_str(), "Exchange2010_SP2");
        assert!(negotiated.step_down(SchemaVersion::Exchange2010Sp2));
        // Late news about a version that nobody uses any more.
        assert!(negotiated.step_down(SchemaVersion::Exchange2013Sp1));
        assert_eq!(negotiated.version().as_str(), "Exchange2010_SP1");
        assert!(negotiated.step_down(SchemaVersion::Exchange2010Sp1));
        assert!(!negotiated.version().tells_new_ids());
        assert!(!negotiated.step_down(SchemaVersion::Exchange2007Sp1));
    }

    #[test]
    fn names_the_product() {
        let text = "<h MajorVersion='15' MinorVersion='20' MajorBuildNumber='1' Version='V2_23'/>";
        let document = roxmltree::Document::parse(text).unwrap();
        let build = ServerBuild::read(document.root_element()).unwrap();
        assert_eq!(build.to_string(), "Exchange Online (15.20.1.0)");
        let document = roxmltree::Document::parse("<h MajorVersion='x'/>").unwrap();
        assert_eq!(ServerBuild::read(document.root_element()), None);
    }
}
