package harness

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
)

// OpenMemoryDB returns a database whose every query answers three rows; a connection owns a buffer, as
// real drivers' do.
func OpenMemoryDB() *sql.DB {
	return sql.OpenDB(connector{})
}

type connector struct{}

func (connector) Connect(context.Context) (driver.Conn, error) {
	return &conn{buffer: make([]byte, 16<<10)}, nil
}
func (connector) Driver() driver.Driver { return memoryDriver{} }

type memoryDriver struct{}

func (memoryDriver) Open(string) (driver.Conn, error) { return nil, errors.New("use OpenMemoryDB") }

type conn struct {
	buffer   []byte
	prepared [][]byte
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	c.prepared = append(c.prepared, make([]byte, 1<<10))
	return stmt{}, nil
}
func (c *conn) Close() error              { return nil }
func (c *conn) Begin() (driver.Tx, error) { return nil, errors.New("no transactions") }

type stmt struct{}

func (stmt) Close() error                               { return nil }
func (stmt) NumInput() int                              { return 0 }
func (stmt) Exec([]driver.Value) (driver.Result, error) { return driver.ResultNoRows, nil }
func (stmt) Query([]driver.Value) (driver.Rows, error)  { return &rows{}, nil }

type rows struct{ read int }

func (r *rows) Columns() []string { return []string{"id"} }
func (r *rows) Close() error      { return nil }
func (r *rows) Next(dest []driver.Value) error {
	if r.read == 3 {
		return io.EOF
	}
	dest[0] = int64(r.read)
	r.read++
	return nil
}
