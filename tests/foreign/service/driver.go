package main

import _ "modernc.org/sqlite" // SQLite without a C compiler, with SQLite's own file locking

const driverName = "sqlite"
