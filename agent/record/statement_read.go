package record

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

const kindStatement = "statement"

// bodyError says in which kind of signed body the error is.
func bodyError(kind string, err error) error { return fmt.Errorf("%s: %w", kind, err) }

// finishBody refuses a body that no reader would take for its size or its encoding.
func finishBody(kind string, b []byte) ([]byte, error) {
	if err := checkBody(b); err != nil {
		return nil, bodyError(kind, err)
	}
	return b, nil
}

func checkBody(b []byte) error {
	if len(b) > maxStored {
		return fmt.Errorf("has %d bytes, more than %d", len(b), maxStored)
	}
	if !utf8.Valid(b) {
		return errors.New("has a text that is not UTF-8")
	}
	return nil
}

// readBody reads a signed body's JSON.
func readBody(kind string, data []byte, read func(*jsonReader) error, check func() error) error {
	err := checkBody(data)
	if err == nil {
		err = readJSON(data, read)
	}
	if err == nil {
		err = check()
	}
	if err != nil {
		return bodyError(kind, err)
	}
	return nil
}

// DecodeStatement reads a statement's JSON and checks each of its members. It does not check signatures, nor what depends on other
// statements.
func DecodeStatement(data []byte) (*Statement, error) {
	s := new(Statement)
	read := func(j *jsonReader) error { return j.statement(s) }
	if err := readBody(kindStatement, data, read, s.check); err != nil {
		return nil, err
	}
	return s, nil
}

func (j *jsonReader) statement(s *Statement) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "n":
			return j.int64(&s.N, 1, maxStatement)
		case "prev":
			s.Prev = new(Hash)
			return j.hash(s.Prev)
		case "time":
			return j.time(&s.Time)
		case "owner":
			return j.string(&s.Owner)
		case "format":
			return j.int(&s.Format, 1, maxInt)
		case "parameters":
			return j.parameters(&s.Parameters)
		case "recipients":
			return readAll(j, &s.Recipients, j.recipient)
		case "signers":
			return readAll(j, &s.Signers, j.signer)
		case "revoked":
			return readAll(j, &s.Revoked, j.revocation)
		case "prune":
			return readAll(j, &s.Prune, j.prune)
		case "remap":
			return readAll(j, &s.Remap, j.listRef)
		case "note":
			return j.string(&s.Note)
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return seen.need("n", "time", "owner", "format", "parameters", "recipients")
}

// readAll reads an array, each element with one.
func readAll[T any](j *jsonReader, dst *[]T, one func(*T) error) error {
	return j.array(func() error {
		var v T
		err := one(&v)
		*dst = append(*dst, v)
		return err
	})
}

func (j *jsonReader) parameters(p *Parameters) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "pack_size":
			return j.int64(&p.PackSize, 1, maxStored)
		case "frame_size":
			return j.int64(&p.FrameSize, 1, maxRaw)
		case "chunking":
			return j.string(&p.Chunking)
		case "chunk_min":
			return j.int64(&p.ChunkMin, 1, maxRaw)
		case "chunk_normal":
			return j.int64(&p.ChunkNormal, 1, maxRaw)
		case "chunk_max":
			return j.int64(&p.ChunkMax, 1, maxRaw)
		case "chunk_name":
			return j.string(&p.ChunkName)
		case "compression":
			return j.string(&p.Compression)
		case "padding":
			return j.string(&p.Padding)
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return seen.need("pack_size", "frame_size", "chunking", "chunk_min", "chunk_normal", "chunk_max", "chunk_name", "compression", "padding")
}

func (j *jsonReader) recipient(r *Recipient) error {
	_, err := j.object(func(name string) error {
		switch name {
		case "recipient":
			return j.string(&r.Recipient)
		case "role":
			return j.string(&r.Role)
		case "signer":
			return j.string(&r.Signer)
		}
		return j.skip()
	})
	return err
}

func (j *jsonReader) signer(s *Signer) error {
	_, err := j.object(func(name string) error {
		switch name {
		case "id":
			return j.string(&s.ID)
		case "algorithm":
			return j.string(&s.Algorithm)
		case "key":
			return j.string(&s.Key)
		case "roles":
			return j.strings(&s.Roles)
		case "sources":
			return j.strings(&s.Sources)
		case "from":
			return j.time(&s.From)
		case "until":
			return j.time(&s.Until)
		}
		return j.skip()
	})
	return err
}

func (j *jsonReader) revocation(r *Revocation) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "signer":
			return j.string(&r.Signer)
		case "chain":
			return j.hex(&r.Chain, chainDigits)
		case "seq":
			return j.int64(&r.Seq, 0, maxSeq)
		case "commit":
			r.Commit = new(Hash)
			return j.hash(r.Commit)
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	if seen["chain"] {
		return seen.need("seq")
	}
	return nil
}

func (j *jsonReader) prune(p *Prune) error {
	seen, err := j.object(func(name string) error {
		if name == "since" {
			return j.time(&p.Since)
		}
		return j.listRefMember(&p.List, name)
	})
	if err != nil {
		return err
	}
	return seen.need("list", "size", "since")
}

// listRef reads {"list", "size"}.
func (j *jsonReader) listRef(r *Ref) error {
	seen, err := j.object(func(name string) error { return j.listRefMember(r, name) })
	if err != nil {
		return err
	}
	return seen.need("list", "size")
}

func (j *jsonReader) listRefMember(r *Ref, name string) error {
	switch name {
	case "list":
		return j.hash(&r.Name)
	case "size":
		return j.int64(&r.Size, 0, maxStored)
	}
	return j.skip()
}
