// Adds a template to the shared set for every letter: the set only grows.
package main

import (
	"strconv"
	"text/template"

	"bilgepump.dev/leakapps/harness"
)

var letters = template.Must(template.New("base").Parse(`{{.}}`))

func letter(name string) *template.Template {
	return template.Must(letters.New(name).Parse(`Dear {{.Name}}, {{if .Paid}}thanks{{else}}pay {{.Sum}}{{end}}`))
}

func main() {
	made := int64(0)
	harness.Serve(func(i int) { letter("letter-" + strconv.Itoa(i)); made++ }, func() int64 { return made * 2600 })
}
