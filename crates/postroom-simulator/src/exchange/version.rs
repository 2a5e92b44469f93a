//! Which Exchange the simulator is.

/// Every value that `RequestServerVersion` may have, oldest first.
///
/// Source: `ExchangeVersionType` of the Exchange SE schema.
const VERSIONS: [&str; 25] = [
    "Exchange2007",
    "Exchange2007_SP1",
    "Exchange2009",
    "Exchange2010",
    "Exchange2010_SP1",
    "Exchange2010_SP2",
    "Exchange2012",
    "Exchange2013",
    "Exchange2013_SP1",
    "Exchange2015",
    "Exchange2016",
    "V2015_10_05",
    "V2016_01_06",
    "V2016_04_13",
    "V2016_07_13",
    "V2016_10_10",
    "V2017_01_07",
    "V2017_04_14",
    "V2017_07_11",
    "V2017_10_09",
    "V2018_01_08",
    "V2018_04_13",
    "V2018_07_04",
    "V2018_10_08",
    "V2019_01_01",
];

/// A product version: what the server says it is, and the newest schema it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerVersion {
    /// Major, minor, build and sub-build number, such as 15, 2, 2562, 17.
    pub numbers: [u16; 4],
    /// The newest schema version, as `ServerVersionInfo` names it.
    pub schema: String,
}

impl ServerVersion {
    /// A version of the caller's own making.
    #[must_use]
    pub fn new(numbers: [u16; 4], schema: impl Into<String>) -> Self {
        Self {
            numbers,
            schema: schema.into(),
        }
    }

    /// Exchange 2010 SP3: the SP2 schema.
    #[must_use]
    pub fn exchange_2010() -> Self {
        Self::new([14, 3, 513, 0], "Exchange2010_SP2")
    }

    /// Exchange 2013 SP1.
    #[must_use]
    pub fn exchange_2013() -> Self {
        Self::new([15, 0, 1497, 2], "Exchange2013_SP1")
    }

    /// Exchange Server Subscription Edition.
    #[must_use]
    pub fn exchange_se() -> Self {
        Self::new([15, 2, 2562, 17], "V2017_07_11")
    }

    /// Whether the server takes requests of that schema version.
    #[must_use]
    pub fn takes(&self, requested: &str) -> bool {
        let rank = |name: &str| VERSIONS.iter().position(|version| *version == name);
        match (rank(requested), rank(&self.schema)) {
            (Some(requested), Some(newest)) => requested <= newest,
            (requested, _) => requested.is_some(),
        }
    }
}

impl Default for ServerVersion {
    fn default() -> Self {
        Self::exchange_se()
    }
}
