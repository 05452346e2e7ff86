// Oracle answers the questions of test_dockerfile_oracle.py by BuildKit's own code: see ../dump.c for
// the questions and their form. One is asked here alone: "S folder, dockerignore", what is sent.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/pkg/errors"
	"github.com/tonistiigi/fsutil"
)

type object map[string]any

func failure(err error) object {
	line := 0
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
		line = located.Locations[0][0].Start.Line
	}
	return object{"error": err.Error(), "line": line}
}

func values(node *parser.Node) []string {
	list := []string{}
	for n := node.Next; n != nil; n = n.Next {
		list = append(list, n.Value)
	}
	return list
}

func heredocs(docs []parser.Heredoc) []object {
	list := []object{}
	for _, doc := range docs {
		list = append(list, object{"name": doc.Name, "content": doc.Content, "expand": doc.Expand,
			"strip_tabs": doc.Chomp})
	}
	return list
}

var known = map[string]bool{"ADD": true, "ARG": true, "CMD": true, "COPY": true, "ENTRYPOINT": true,
	"ENV": true, "EXPOSE": true, "FROM": true, "HEALTHCHECK": true, "LABEL": true, "MAINTAINER": true,
	"ONBUILD": true, "RUN": true, "SHELL": true, "STOPSIGNAL": true, "USER": true, "VOLUME": true,
	"WORKDIR": true}

// upperASCII leaves other letters as they are: no keyword has them.
func upperASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, text)
}

// body is what an instruction and the one in an ONBUILD have alike.
func body(node *parser.Node, docs []parser.Heredoc) object {
	keyword := upperASCII(node.Value)
	flags := node.Flags
	if flags == nil {
		flags = []string{}
	}
	out := object{"keyword": keyword}
	if keyword == "ONBUILD" {
		if node.Next != nil && len(node.Next.Children) > 0 {
			out["onbuild"] = body(node.Next.Children[0], docs)
		}
		return out
	}
	out["flags"] = flags
	out["json"] = node.Attributes["json"]
	switch {
	case keyword == "ENV" || keyword == "LABEL":
		pairs := []object{}
		for n := node.Next; n != nil; n = n.Next.Next.Next {
			pairs = append(pairs, object{"name": n.Value, "value": n.Next.Value,
				"legacy": n.Next.Next.Value == ""})
		}
		out["pairs"] = pairs
	case !known[keyword]:
		out["args"] = []string{}
	default:
		out["args"] = values(node)
	}
	if len(docs) > 0 {
		out["heredocs"] = heredocs(docs)
	}
	return out
}

func dockerfile(data []byte) object {
	result, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return failure(err)
	}
	list := []object{}
	stage := -1
	for _, node := range result.AST.Children {
		instruction := body(node, node.Heredocs)
		if instruction["keyword"] == "FROM" {
			stage++
		}
		instruction["line"] = node.StartLine
		instruction["end_line"] = node.EndLine
		instruction["stage"] = stage
		list = append(list, instruction)
	}
	return object{"schema": "strake.syntax/1", "file": "Dockerfile", "instructions": list,
		"escape": string(result.EscapeToken)}
}

// ignored walks to each path as BuildKit's sender does: from the top, with what the parents matched.
func ignored(parts []string) object {
	patterns, err := ignorefile.ReadAll(strings.NewReader(parts[0]))
	if err != nil {
		return failure(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return failure(err)
	}
	// A pattern that is malformed fails when it is first asked: here that is now.
	for _, pattern := range patterns {
		asked := []string{pattern}
		if strings.HasPrefix(pattern, "!") {
			asked = []string{"x", pattern}
		}
		if _, err := patternmatcher.MatchesOrParentMatches("x", asked); err != nil {
			return failure(err)
		}
	}
	list := []bool{}
	for _, path := range parts[1:] {
		var info patternmatcher.MatchInfo
		var matched bool
		components := strings.Split(path, "/")
		for i := range components {
			matched, info, err = matcher.MatchesUsingParentResults(strings.Join(components[:i+1], "/"), info)
			if err != nil {
				return failure(err)
			}
		}
		list = append(list, matched)
	}
	return object{"ignored": list}
}

// sent lists what BuildKit's client sends of a folder.
func sent(parts []string) object {
	patterns, err := ignorefile.ReadAll(strings.NewReader(parts[1]))
	if err != nil {
		return failure(err)
	}
	list := []string{}
	err = fsutil.Walk(context.Background(), parts[0], &fsutil.FilterOpt{ExcludePatterns: patterns},
		func(path string, _ fs.FileInfo, err error) error {
			list = append(list, path)
			return err
		})
	if err != nil {
		return failure(err)
	}
	return object{"sent": list}
}

func word(parts []string) object {
	lex := shell.NewLex(rune(parts[0][0]))
	result, _, err := lex.ProcessWord(parts[1], shell.EnvsFromSlice(parts[2:]))
	if err != nil {
		return failure(err)
	}
	return object{"word": result}
}

func run(in *bufio.Reader, out *json.Encoder) error {
	for {
		var kind string
		var length int
		if _, err := fmt.Fscanf(in, "%s %d\n", &kind, &length); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(in, data); err != nil {
			return err
		}
		parts := strings.Split(string(data), "\x00")
		var answer object
		switch kind {
		case "D":
			answer = dockerfile(data)
		case "I":
			answer = ignored(parts)
		case "S":
			answer = sent(parts)
		case "W":
			answer = word(parts)
		default:
			return fmt.Errorf("unknown question %q", kind)
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	err := run(bufio.NewReader(os.Stdin), encoder)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}
