//! Answers of an Exchange server that grow: families of inputs known to hurt readers of XML.

use crate::family::{Family, filled, numbered};

macro_rules! soap {
    ($operation:literal, $head:literal, $piece:literal, $tail:literal) => {
        |size| filled(
            concat!($operation, " 200 1000\n\n<s:Envelope xmlns:s='s'><s:Body><R><ResponseMessages><M ResponseClass='Success'><ResponseCode>NoError</ResponseCode>", $head).as_bytes(),
            $piece.as_bytes(),
            concat!($tail, "</M></ResponseMessages></R></s:Body></s:Envelope>").as_bytes(),
            size,
        )
    };
}

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "open elements",
        make: |size| filled(b"changes 200 1000\n\n<s:Envelope>", b"<a>", b"", size),
    },
    Family {
        name: "nested elements",
        make: |size| {
            let depth = size / 7;
            [
                b"changes 200 1000\n\n<s:Envelope>".as_slice(),
                &b"<a>".repeat(depth),
                &b"</a>".repeat(depth),
                b"</s:Envelope>",
            ]
            .concat()
        },
    },
    Family {
        name: "single bytes",
        make: |size| {
            filled(
                b"changes 200 1\n\n<s:Envelope xmlns:s='s'>",
                b"<a/>",
                b"</s:Envelope>",
                size,
            )
        },
    },
    Family {
        name: "elements",
        make: soap!("changes", "", "<x/>", ""),
    },
    Family {
        name: "attributes",
        make: |size| {
            numbered(
                "changes 200 1000\n\n<s:Envelope ",
                |n| format!("a{n}='' "),
                "/>",
                size,
            )
        },
    },
    Family {
        name: "the same attribute",
        make: |size| filled(b"changes 200 1000\n\n<s:Envelope ", b"a='' ", b"/>", size),
    },
    Family {
        name: "namespaces",
        make: |size| {
            numbered(
                "changes 200 1000\n\n<s:Envelope ",
                |n| format!("xmlns:n{n}='u{n}' "),
                "/>",
                size,
            )
        },
    },
    Family {
        name: "namespaces in depth",
        make: |size| {
            let depth = (size / 30).min(100);
            numbered(
                "changes 200 1000\n\n<s:Envelope xmlns:s='s'>",
                |n| format!("<a xmlns:n{n}='u{n}'>"),
                "",
                depth * 22,
            )
            .into_iter()
            .chain(b"<b/>".repeat(size / 8))
            .collect()
        },
    },
    Family {
        name: "namespaces below namespaces",
        make: |size| {
            let outer = numbered(
                "changes 200 1000\n\n<s:Envelope xmlns:s='s'",
                |n| format!(" xmlns:n{n}='u{n}'"),
                ">",
                size.min(900),
            );
            filled(&outer, b"<a xmlns:n='u'/>", b"</s:Envelope>", size)
        },
    },
    Family {
        name: "namespaces on each",
        make: |size| {
            numbered(
                "changes 200 1000\n\n<s:Envelope xmlns:s='s'>",
                |n| format!("<a xmlns:n='u{n}'/>"),
                "</s:Envelope>",
                size,
            )
        },
    },
    Family {
        name: "character references",
        make: soap!("changes", "", "&#65;", ""),
    },
    Family {
        name: "bad references",
        make: soap!("changes", "", "&", ""),
    },
    Family {
        name: "forbidden characters",
        make: soap!("changes", "", "\u{1}", ""),
    },
    Family {
        name: "comments",
        make: soap!("changes", "", "<!-- -->", ""),
    },
    Family {
        name: "an open comment",
        make: |size| filled(b"changes 200 1000\n\n<s:Envelope><!--", b"-", b"", size),
    },
    Family {
        name: "almost the end of CDATA",
        make: |size| {
            filled(
                b"changes 200 1000\n\n<s:Envelope><![CDATA[",
                b"]]",
                b"",
                size,
            )
        },
    },
    Family {
        name: "CDATA sections",
        make: soap!("changes", "", "<![CDATA[x]]>", ""),
    },
    Family {
        name: "an open instruction",
        make: |size| filled(b"changes 200 1000\n\n<?xml ", b"? ", b"", size),
    },
    Family {
        name: "messages",
        make: |size| {
            filled(
                b"headers 200 1000\n\n<s:Envelope xmlns:s='s'><s:Body><R><ResponseMessages>",
                b"<M ResponseClass='Error'/>",
                b"</ResponseMessages></R></s:Body></s:Envelope>",
                size,
            )
        },
    },
    Family {
        name: "changes",
        make: |size| {
            numbered(
                "changes 200 1000\n\n<s:Envelope xmlns:s='s'><s:Body><R><ResponseMessages><M ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
         <SyncState>s</SyncState><IncludesLastItemInRange>true</IncludesLastItemInRange><Changes>",
                |n| format!("<Create><Message><ItemId Id='{n}'/></Message></Create>"),
                "</Changes></M></ResponseMessages></R></s:Body></s:Envelope>",
                size,
            )
        },
    },
    Family {
        name: "folders",
        make: |size| {
            numbered(
                "list_folders 200 1000\n\n<s:Envelope xmlns:s='s'><s:Body><R><ResponseMessages><M ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
         <RootFolder IncludesLastItemInRange='true'><Folders>",
                |n| format!("<Folder><FolderId Id='{n}'/></Folder>"),
                "</Folders></RootFolder></M></ResponseMessages></R></s:Body></s:Envelope>",
                size,
            )
        },
    },
    Family {
        name: "content",
        make: soap!(
            "fetch",
            "<Items><Message><MimeContent>",
            "QUJD\r\n",
            "</MimeContent></Message></Items>"
        ),
    },
    Family {
        name: "content of references",
        make: soap!(
            "fetch",
            "<Items><Message><MimeContent>",
            "&#xD;",
            "</MimeContent></Message></Items>"
        ),
    },
    Family {
        name: "content of padding",
        make: soap!(
            "fetch",
            "<Items><Message><MimeContent>",
            "=",
            "</MimeContent></Message></Items>"
        ),
    },
    Family {
        name: "content of garbage",
        make: soap!(
            "fetch",
            "<Items><Message><MimeContent>",
            "A!",
            "</MimeContent></Message></Items>"
        ),
    },
    Family {
        name: "contents",
        make: soap!(
            "fetch",
            "<Items><Message>",
            "<MimeContent>QQ==</MimeContent>",
            "</Message></Items>"
        ),
    },
    Family {
        name: "recipients",
        make: soap!(
            "headers",
            "<Items><Message><ItemId Id='1'/><ToRecipients>",
            "<Mailbox><EmailAddress>a@b</EmailAddress></Mailbox>",
            "</ToRecipients></Message></Items>"
        ),
    },
    Family {
        name: "internet headers",
        make: soap!(
            "headers",
            "<Items><Message><ItemId Id='1'/><InternetMessageHeaders>",
            "<InternetMessageHeader HeaderName='To'>a@b</InternetMessageHeader>",
            "</InternetMessageHeaders></Message></Items>"
        ),
    },
    Family {
        name: "properties",
        make: soap!(
            "headers",
            "<Items><Message><ItemId Id='1'/>",
            "<ExtendedProperty><ExtendedFieldURI PropertyTag='0x7d'/></ExtendedProperty>",
            "</Message></Items>"
        ),
    },
    Family {
        name: "references",
        make: soap!(
            "headers",
            "<Items><Message><ItemId Id='1'/><References>",
            "&lt;a@b&gt; ",
            "</References></Message></Items>"
        ),
    },
    Family {
        name: "a long body to rebuild",
        make: |size| {
            let head = "fetch 200 1000\n\n<s:Envelope xmlns:s='s'><s:Body><R><ResponseMessages><M ResponseClass='Error'><ResponseCode>ErrorMimeContentConversionFailed</ResponseCode></M></ResponseMessages></R></s:Body></s:Envelope>\u{1e}\
            <s:Envelope xmlns:s='s'><s:Body><R><ResponseMessages><M ResponseClass='Success'><ResponseCode>NoError</ResponseCode><Items><Message><ItemId Id='1'/><Subject>";
            filled(
                head.as_bytes(),
                "ä ".as_bytes(),
                b"</Subject></Message></Items></M></ResponseMessages></R></s:Body></s:Envelope>",
                size,
            )
        },
    },
    Family {
        name: "a page of another server",
        make: |size| filled(b"fetch 200 1000\n\n<html>", b"<br>", b"", size),
    },
];
