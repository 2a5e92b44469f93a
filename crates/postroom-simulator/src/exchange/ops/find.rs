//! FindItem.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

use roxmltree::Node;

use super::query::Query;
use super::restriction::{Operand, Restriction};
use crate::exchange::call::{Call, Outcome, child, required};
use crate::exchange::code::Refusal;
use crate::exchange::fault::Fault;
use crate::exchange::path::Path;
use crate::exchange::render;
use crate::exchange::shape::{Shape, View};
use crate::exchange::xml::Xml;
use crate::model::{Folder, Item};

/// Entries on a page at most, as Exchange's default throttling policy has it.
const PAGE_MAX: usize = 1000;

/// A stretch of a list of results.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) first: usize,
    pub(super) count: usize,
    total: usize,
    next: usize,
}

impl Page {
    pub(super) fn cut(call: &Call<'_>, view: Option<Node<'_, '_>>, total: usize) -> Self {
        if call.has_fault(&Fault::ContradictoryPaging) {
            return Self {
                first: 0,
                count: 0,
                total: total.max(1),
                next: 0,
            };
        }
        let number = |name| {
            view.and_then(|view| view.attribute(name))
                .and_then(|value| value.trim().parse::<usize>().ok())
        };
        let asked = number("MaxEntriesReturned")
            .unwrap_or(PAGE_MAX)
            .min(PAGE_MAX);
        let size = call.page_limit(asked);
        let offset = number("Offset").unwrap_or(0).min(total);
        if view.and_then(|view| view.attribute("BasePoint")) == Some("End") {
            let end = total.saturating_sub(offset);
            let first = end.saturating_sub(size);
            return Self {
                first,
                count: end.saturating_sub(first),
                total,
                next: offset.saturating_add(end.saturating_sub(first)),
            };
        }
        let count = total.saturating_sub(offset).min(size);
        Self {
            first: offset,
            count,
            total,
            next: offset.saturating_add(count),
        }
    }

    pub(super) fn open(&self, xml: &mut Xml) {
        let last = if self.next >= self.total {
            "true"
        } else {
            "false"
        };
        let attributes = [
            ("IndexedPagingOffset", self.next.to_string()),
            ("TotalItemsInView", self.total.to_string()),
            ("IncludesLastItemInRange", last.to_owned()),
        ];
        let attributes = attributes
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        xml.open("m:RootFolder", &attributes);
    }
}

pub(super) fn items(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let shape = Shape::read(required(request, "ItemShape")?, View::List)?;
    let restriction = child(request, "Restriction")
        .map(Restriction::read)
        .transpose()?;
    let order = child(request, "SortOrder")
        .map(read_order)
        .transpose()?
        .unwrap_or_default();
    let calendar = child(request, "CalendarView");
    let query = child(request, "QueryString")
        .and_then(|query| query.text())
        .map(Query::read);
    if calendar.is_some() && (restriction.is_some() || !order.is_empty()) {
        return Err(Refusal::new("ErrorCalendarViewRangeTooBig")
            .text("A calendar view takes neither a restriction nor an order."));
    }
    let hidden = request.attribute("Traversal") == Some("Associated");
    // Since Exchange 2010 these lie in the recoverable items, not in the folder itself.
    let soft_deleted = request.attribute("Traversal") == Some("SoftDeleted");
    call.batch(xml, required(request, "ParentFolderIds")?, |xml, node| {
        let page = call.folder(node).map(|folder| {
            let mut found = matching(call, &folder, |item| {
                !soft_deleted
                    && item.hidden == hidden
                    && restriction
                        .as_ref()
                        .is_none_or(|restriction| restriction.fits_item(call, item))
                    && calendar.is_none_or(|view| overlaps(item, view))
                    && query.as_ref().is_none_or(|query| query.fits(item))
            });
            sort(call, &mut found, &order);
            if calendar.is_some() {
                found.sort_by(|a, b| field_text(a, "Start").cmp(field_text(b, "Start")));
            }
            let view = child(request, "IndexedPageItemView").or(calendar);
            let page = Page::cut(call, view, found.len());
            let rendered = found
                .iter()
                .skip(page.first)
                .take(page.count)
                .map(|item| render::item(call, item, &shape));
            // An item that cannot be shown is left out of a list.
            let rendered: Vec<render::Rendered> = rendered.filter_map(Result::ok).collect();
            (page, rendered)
        });
        call.respond(
            xml,
            page.map(|(page, rendered)| {
                move |xml: &mut Xml| {
                    page.open(xml);
                    xml.open("t:Items", &[]);
                    for item in rendered {
                        item.write(xml);
                    }
                    xml.close("t:Items");
                    xml.close("m:RootFolder");
                }
            }),
        );
    });
    Ok(())
}

/// The items of a folder that fit, the latest arrival first.
fn matching(call: &Call<'_>, folder: &Folder, fits: impl Fn(&Item) -> bool) -> Vec<Arc<Item>> {
    let mut all = Vec::new();
    call.mail.walk(folder.id, u64::MAX, |item| {
        all.push(Arc::clone(item));
        ControlFlow::Continue(())
    });
    // Filtered outside of the walk: a restriction may look things up in the model.
    all.retain(|item| fits(item));
    all
}

fn field_text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.fields
        .get(name)
        .map_or("", |field| field.text.as_str())
}

fn overlaps(item: &Item, view: Node<'_, '_>) -> bool {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let window = (
        view.attribute("StartDate").and_then(time),
        view.attribute("EndDate").and_then(time),
    );
    match (
        window,
        time(field_text(item, "Start")),
        time(field_text(item, "End")),
    ) {
        ((Some(from), Some(to)), Some(start), Some(end)) => start < to && end > from,
        _ => false,
    }
}

/// The paths of a sort order, with `true` for descending.
type Order = Vec<(Path, bool)>;

fn read_order(node: Node<'_, '_>) -> Outcome<Order> {
    let fields = node.children().filter(Node::is_element);
    fields
        .map(|field| {
            let path =
                Path::among(field)?.ok_or_else(|| Refusal::new("ErrorUnsupportedSortDirection"))?;
            Ok((path, field.attribute("Order") == Some("Descending")))
        })
        .collect()
}

fn sort(call: &Call<'_>, items: &mut [Arc<Item>], order: &Order) {
    if order.is_empty() {
        return;
    }
    let mut keyed: Vec<(Vec<Operand>, Arc<Item>)> = items
        .iter()
        .map(|item| {
            (
                order
                    .iter()
                    .map(|(path, _)| Operand::of_item(call, item, path))
                    .collect(),
                Arc::clone(item),
            )
        })
        .collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let fields = a.iter().zip(b).zip(order).map(|((a, b), (_, descending))| {
            let ordering = a.compare(b).unwrap_or(Ordering::Equal);
            if *descending {
                ordering.reverse()
            } else {
                ordering
            }
        });
        fields.fold(Ordering::Equal, Ordering::then)
    });
    for (slot, (_, item)) in items.iter_mut().zip(keyed) {
        *slot = item;
    }
}
