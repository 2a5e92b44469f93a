//! The schema of the requests that the simulator serves, and a validator for it.
//!
//! `schema.txt` holds, one type a line, which children an element of the EWS schema may have, in
//! which order, and which values: facts of Exchange SE's `messages.xsd` and `types.xsd`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use roxmltree::Node;

/// What the validator objects to, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) text: String,
    /// Byte position in the document.
    pub(super) at: usize,
}

#[derive(Debug, Default)]
pub(super) struct Schema {
    roots: BTreeMap<&'static str, &'static str>,
    complex: BTreeMap<&'static str, Complex>,
    simple: BTreeMap<&'static str, Simple>,
}

#[derive(Debug, Default)]
struct Complex {
    attributes: Vec<(&'static str, bool, &'static str)>,
    text: Option<&'static str>,
    content: Vec<Particle>,
}

#[derive(Debug, Clone)]
enum Simple {
    Any,
    Enumeration(Vec<&'static str>),
    Restricted {
        base: &'static str,
        min: Option<i64>,
        max: Option<i64>,
        length_min: usize,
    },
}

#[derive(Debug, Clone)]
struct Particle {
    what: What,
    min: usize,
    max: usize,
}

#[derive(Debug, Clone)]
enum What {
    Element(&'static str, &'static str),
    Sequence(Vec<Particle>),
    Choice(Vec<Particle>),
}

/// The schema, read once.
pub(super) fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::read(include_str!("schema.txt")))
}

impl Schema {
    fn read(text: &'static str) -> Self {
        let mut schema = Self::default();
        let mut bases = BTreeMap::new();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            match kind {
                "root" => {
                    if let Some((name, of)) = name.split_once('=') {
                        schema.roots.insert(name, of);
                    }
                }
                "simple" => {
                    schema.simple.insert(name, read_simple(rest));
                }
                "complex" => {
                    let (head, content) = rest.split_once(": ").unwrap_or((rest, ""));
                    let mut complex = Complex::default();
                    for word in head.split_whitespace() {
                        if let Some(base) = word.strip_prefix('<') {
                            bases.insert(name, base);
                        } else if let Some(of) = word.strip_prefix('#') {
                            complex.text = Some(of);
                        } else if let Some((attribute, of)) =
                            word.strip_prefix('@').and_then(|word| word.split_once('='))
                        {
                            let required = attribute.ends_with('!');
                            complex.attributes.push((
                                attribute.trim_end_matches('!'),
                                required,
                                of,
                            ));
                        }
                    }
                    let mut words = content.split_whitespace().peekable();
                    complex.content = read_particles(&mut words);
                    schema.complex.insert(name, complex);
                }
                _ => {}
            }
        }
        let names: Vec<&'static str> = schema.complex.keys().copied().collect();
        let flat = names
            .into_iter()
            .map(|name| (name, schema.flat(name, &bases)))
            .collect();
        schema.complex = flat;
        schema
    }

    /// A type with what it inherits in front of what it adds.
    fn flat(&self, name: &str, bases: &BTreeMap<&'static str, &'static str>) -> Complex {
        let mut flat = bases
            .get(name)
            .map(|base| self.flat(base, bases))
            .unwrap_or_default();
        if let Some(own) = self.complex.get(name) {
            flat.content.extend(own.content.iter().cloned());
            flat.attributes.extend(own.attributes.iter().copied());
            flat.text = own.text.or(flat.text);
        }
        flat
    }

    /// The names of the children of a type, in the order in which they must stand.
    pub(super) fn order(&self, of: &str) -> Vec<&'static str> {
        fn names(particles: &[Particle], into: &mut Vec<&'static str>) {
            for particle in particles {
                match &particle.what {
                    What::Element(name, _) => {
                        into.push(name.split_once(':').map_or(*name, |(_, local)| local))
                    }
                    What::Sequence(inner) | What::Choice(inner) => names(inner, into),
                }
            }
        }
        let mut all = Vec::new();
        if let Some(complex) = self.complex.get(of) {
            names(&complex.content, &mut all);
        }
        all
    }

    /// The type of a child of a type.
    pub(super) fn type_of(&self, of: &str, child: &str) -> Option<&'static str> {
        find(&self.complex.get(of)?.content, &format!("t:{child}"))
    }

    /// Whether a request element is known at all.
    pub(super) fn knows(&self, element: Node<'_, '_>) -> bool {
        self.roots.contains_key(qualified(element).as_str())
    }

    /// Checks a request or header element and all below it.
    pub(super) fn validate(&self, element: Node<'_, '_>) -> Result<(), Violation> {
        let name = qualified(element);
        let Some(of) = self.roots.get(name.as_str()) else {
            return Err(violation(
                element,
                format!("The element '{name}' is not declared."),
            ));
        };
        self.check(element, of)
    }

    fn check(&self, node: Node<'_, '_>, of: &'static str) -> Result<(), Violation> {
        let Some(complex) = self.complex.get(of) else {
            return self.check_text(node, of);
        };
        for (name, required, of) in &complex.attributes {
            match node.attribute(*name) {
                Some(value) => {
                    self.check_value(value, of).map_err(|why| {
                        violation(node, format!("The '{name}' attribute is invalid: {why}"))
                    })?;
                }
                None if *required => {
                    return Err(violation(
                        node,
                        format!("The required attribute '{name}' is missing."),
                    ));
                }
                None => {}
            }
        }
        let unknown = node.attributes().find(|attribute| {
            attribute.namespace().is_none()
                && !complex
                    .attributes
                    .iter()
                    .any(|(name, ..)| *name == attribute.name())
        });
        if let Some(unknown) = unknown {
            return Err(violation(
                node,
                format!("The '{}' attribute is not declared.", unknown.name()),
            ));
        }
        if let Some(of) = complex.text {
            return self.check_text(node, of);
        }
        let children: Vec<Node<'_, '_>> = node.children().filter(Node::is_element).collect();
        let names: Vec<String> = children.iter().map(|child| qualified(*child)).collect();
        let mut furthest = 0;
        let end = match_sequence(&complex.content, &names, 0, &mut furthest);
        if end != Some(names.len()) {
            let at = end.unwrap_or(0).max(furthest);
            return Err(match (children.get(at), names.get(at)) {
                (Some(child), Some(name)) => violation(
                    *child,
                    format!(
                        "The element '{}' has invalid child element '{name}'.",
                        qualified(node)
                    ),
                ),
                _ => violation(
                    node,
                    format!("The element '{}' has incomplete content.", qualified(node)),
                ),
            });
        }
        for (child, name) in children.iter().zip(&names) {
            if let Some(of) = find(&complex.content, name) {
                self.check(*child, of)?;
            }
        }
        Ok(())
    }

    fn check_text(&self, node: Node<'_, '_>, of: &'static str) -> Result<(), Violation> {
        if of == "xs:any" {
            return Ok(());
        }
        if let Some(child) = node.children().find(Node::is_element) {
            return Err(violation(
                child,
                format!(
                    "The element '{}' cannot contain child elements.",
                    qualified(node)
                ),
            ));
        }
        self.check_value(node.text().unwrap_or_default(), of)
            .map_err(|why| {
                violation(
                    node,
                    format!("The '{}' element is invalid: {why}", qualified(node)),
                )
            })
    }

    fn check_value(&self, value: &str, of: &str) -> Result<(), String> {
        let trimmed = value.trim();
        let ok = match of {
            "xs:boolean" => matches!(trimmed, "true" | "false" | "1" | "0"),
            "xs:int" => trimmed.parse::<i32>().is_ok(),
            "xs:long" => trimmed.parse::<i64>().is_ok(),
            "xs:unsignedInt" => trimmed.parse::<u32>().is_ok(),
            "xs:nonNegativeInteger" => trimmed.parse::<u64>().is_ok(),
            "xs:double" => trimmed.parse::<f64>().is_ok(),
            "xs:dateTime" => is_date_time(trimmed),
            _ => match self.simple.get(of) {
                None | Some(Simple::Any) => true,
                Some(Simple::Enumeration(values)) => {
                    let spaced = trimmed.replace(' ', "_");
                    values.contains(&spaced.as_str())
                }
                Some(Simple::Restricted {
                    base,
                    min,
                    max,
                    length_min,
                }) => {
                    self.check_value(value, base)?;
                    let number = trimmed.parse::<i64>().ok();
                    min.is_none_or(|min| number.is_none_or(|number| number >= min))
                        && max.is_none_or(|max| number.is_none_or(|number| number <= max))
                        && value.len() >= *length_min
                }
            },
        };
        if ok {
            Ok(())
        } else {
            Err(format!("the value is not valid for the type '{of}'."))
        }
    }
}

fn is_date_time(value: &str) -> bool {
    let zoned = value.parse::<jiff::Timestamp>().is_ok();
    zoned
        || value
            .parse::<jiff::civil::DateTime>()
            .is_ok_and(|_| value.contains('T'))
}

fn read_simple(rest: &'static str) -> Simple {
    let mut words = rest.split_whitespace();
    match words.next() {
        Some("enum") => Simple::Enumeration(words.collect()),
        Some("of") => {
            let base = words.next().unwrap_or("xs:string");
            let (mut min, mut max, mut length_min) = (None, None, 0);
            for word in words {
                match word.split_once('=') {
                    Some(("minInclusive", value)) => min = value.parse().ok(),
                    Some(("maxInclusive", value)) => max = value.parse().ok(),
                    Some(("minLength", value)) => length_min = value.parse().unwrap_or(0),
                    _ => {}
                }
            }
            Simple::Restricted {
                base,
                min,
                max,
                length_min,
            }
        }
        _ => Simple::Any,
    }
}

/// Reads `( a , b | c )? , d*` up to the closing bracket or the end.
fn read_particles(
    words: &mut std::iter::Peekable<std::str::SplitWhitespace<'static>>,
) -> Vec<Particle> {
    let mut particles = Vec::new();
    while let Some(word) = words.next_if(|word| !word.starts_with(')')) {
        match word {
            "," | "|" => {}
            "(" => particles.push(read_group(words)),
            element => {
                let (rest, min, max) = read_occurrence(element);
                if let Some((name, of)) = rest.split_once('=') {
                    particles.push(Particle {
                        what: What::Element(name, of),
                        min,
                        max,
                    });
                }
            }
        }
    }
    particles
}

fn read_group(words: &mut std::iter::Peekable<std::str::SplitWhitespace<'static>>) -> Particle {
    let mut inner = Vec::new();
    let mut choice = false;
    loop {
        match words.peek().copied() {
            Some("|") => {
                choice = true;
                words.next();
            }
            Some(",") => {
                words.next();
            }
            Some("(") => {
                words.next();
                inner.push(read_group(words));
            }
            Some(word) if word.starts_with(')') => {
                words.next();
                let (_, min, max) = read_occurrence(word);
                let what = if choice {
                    What::Choice(inner)
                } else {
                    What::Sequence(inner)
                };
                return Particle { what, min, max };
            }
            Some(word) => {
                words.next();
                let (rest, min, max) = read_occurrence(word);
                if let Some((name, of)) = rest.split_once('=') {
                    inner.push(Particle {
                        what: What::Element(name, of),
                        min,
                        max,
                    });
                }
            }
            None => {
                return Particle {
                    what: What::Sequence(inner),
                    min: 1,
                    max: 1,
                };
            }
        }
    }
}

fn read_occurrence(word: &'static str) -> (&'static str, usize, usize) {
    if let Some(rest) = word.strip_suffix('?') {
        (rest, 0, 1)
    } else if let Some(rest) = word.strip_suffix('*') {
        (rest, 0, usize::MAX)
    } else if let Some(rest) = word.strip_suffix('+') {
        (rest, 1, usize::MAX)
    } else {
        (word, 1, 1)
    }
}

fn match_sequence(
    particles: &[Particle],
    names: &[String],
    from: usize,
    furthest: &mut usize,
) -> Option<usize> {
    let mut at = from;
    for particle in particles {
        at = match_particle(particle, names, at, furthest)?;
    }
    Some(at)
}

/// How far a particle reaches from `from`, as far as it can; `None` if it does not fit. The schema
/// is deterministic, so that no step ever needs to be taken back.
fn match_particle(
    particle: &Particle,
    names: &[String],
    from: usize,
    furthest: &mut usize,
) -> Option<usize> {
    let (mut at, mut count) = (from, 0);
    while count < particle.max {
        let next = match &particle.what {
            What::Element(name, _) => {
                (names.get(at).map(String::as_str) == Some(name)).then(|| at.saturating_add(1))
            }
            What::Sequence(inner) => match_sequence(inner, names, at, furthest),
            What::Choice(inner) => {
                let fits = inner
                    .iter()
                    .filter_map(|one| match_particle(one, names, at, furthest));
                fits.max()
            }
        };
        match next {
            Some(next) if next > at => {
                at = next;
                count = count.saturating_add(1);
            }
            // Something that may be empty fits any number of times.
            Some(_) => {
                count = particle.min;
                break;
            }
            None => break,
        }
    }
    *furthest = (*furthest).max(at);
    (count >= particle.min).then_some(at)
}

fn find(particles: &[Particle], name: &str) -> Option<&'static str> {
    particles.iter().find_map(|particle| match &particle.what {
        What::Element(element, of) => (*element == name).then_some(*of),
        What::Sequence(inner) | What::Choice(inner) => find(inner, name),
    })
}

fn violation(node: Node<'_, '_>, text: String) -> Violation {
    Violation {
        text,
        at: node.range().start,
    }
}

/// A name with the usual prefix of its namespace.
pub(super) fn qualified(node: Node<'_, '_>) -> String {
    let name = node.tag_name();
    let prefix = match name.namespace() {
        Some(super::soap::MESSAGES) => "m:",
        Some(super::soap::TYPES) => "t:",
        Some(super::soap::SOAP) => "s:",
        _ => "?:",
    };
    format!("{prefix}{}", name.name())
}
