"""The pages of docs/database: the schema as SQLite tells it, joined with the notes beside the migrations."""
