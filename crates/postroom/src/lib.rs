//! Email between a business application and its people's mail systems, kept in step from the server side.
