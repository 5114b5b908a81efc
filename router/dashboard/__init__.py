"""The dashboard: pages for people, on the admin port. Rendered on the server, kept up to date by `static/live.js`."""
