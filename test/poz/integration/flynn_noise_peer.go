// A Noise peer of one exchange, made with flynn/noise.
//
//	flynn_noise_peer ask PORT CONTRACT SERVER_KEY   sends standard input, prints the response
//	flynn_noise_peer serve CONTRACT SECRET          prints its port, answers one request with
//	                                                the bytes on standard input
//
// Keys, input and output are hex. Exits with 3 where the other side closes without an answer.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/flynn/noise"
)

const most = 65535 - 16

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)

// check ends the program on an error.
func check(err error) {
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		os.Exit(3)
	default:
		log.Fatal(err)
	}
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	check(err)
	return b
}

func input() []byte {
	text, err := io.ReadAll(os.Stdin)
	check(err)
	return unhex(string(text))
}

func config(contract string, initiator bool) noise.Config {
	n, err := strconv.ParseUint(contract, 10, 16)
	check(err)
	prologue := binary.BigEndian.AppendUint16([]byte("POZ0"), uint16(n))
	return noise.Config{CipherSuite: suite, Pattern: noise.HandshakeNK, Initiator: initiator, Prologue: prologue}
}

func sendFrame(conn net.Conn, message []byte) {
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	check(err)
}

func receiveFrame(conn net.Conn) []byte {
	head := make([]byte, 2)
	_, err := io.ReadFull(conn, head)
	check(err)
	message := make([]byte, binary.BigEndian.Uint16(head))
	_, err = io.ReadFull(conn, message)
	check(err)
	return message
}

func sendAll(conn net.Conn, cipher *noise.CipherState, data []byte, piece int) {
	for len(data) > 0 {
		n := piece
		if len(data) < n {
			n = len(data)
		}
		message, err := cipher.Encrypt(nil, nil, data[:n])
		check(err)
		sendFrame(conn, message)
		data = data[n:]
	}
}

func receiveAll(conn net.Conn, cipher *noise.CipherState, whole func([]byte) bool) []byte {
	var data []byte
	for !whole(data) {
		plaintext, err := cipher.Decrypt(nil, nil, receiveFrame(conn))
		check(err)
		data = append(data, plaintext...)
	}
	return data
}

func wholeResponse(data []byte) bool {
	return len(data) >= 8 && len(data) >= 8+int(binary.BigEndian.Uint32(data[4:]))
}

// wholeRequest is for one without proof of work.
func wholeRequest(data []byte) bool {
	return len(data) >= 7 && len(data) >= 7+int(binary.BigEndian.Uint16(data[5:]))
}

func limit(conn net.Conn) {
	check(conn.SetDeadline(time.Now().Add(20 * time.Second)))
}

func ask(port, contract, key string) {
	request := input()
	c := config(contract, true)
	c.PeerStatic = unhex(key)
	state, err := noise.NewHandshakeState(c)
	check(err)
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	check(err)
	defer conn.Close()
	limit(conn)
	message, _, _, err := state.WriteMessage(nil, nil)
	check(err)
	sendFrame(conn, message)
	_, send, take, err := state.ReadMessage(nil, receiveFrame(conn))
	check(err)
	sendAll(conn, send, request, 1000)
	fmt.Println(hex.EncodeToString(receiveAll(conn, take, wholeResponse)))
}

func serve(contract, secret string) {
	response := input()
	pair, err := noise.DH25519.GenerateKeypair(bytes.NewReader(unhex(secret)))
	check(err)
	c := config(contract, false)
	c.StaticKeypair = pair
	state, err := noise.NewHandshakeState(c)
	check(err)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer server.Close()
	check(server.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second)))
	fmt.Println(server.Addr().(*net.TCPAddr).Port)
	conn, err := server.Accept()
	check(err)
	defer conn.Close()
	limit(conn)
	_, _, _, err = state.ReadMessage(nil, receiveFrame(conn))
	check(err)
	message, take, send, err := state.WriteMessage(nil, nil)
	check(err)
	sendFrame(conn, message)
	fmt.Println(hex.EncodeToString(receiveAll(conn, take, wholeRequest)))
	sendAll(conn, send, response, most)
}

func main() {
	switch args := os.Args[1:]; {
	case len(args) == 4 && args[0] == "ask":
		ask(args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "serve":
		serve(args[1], args[2])
	default:
		log.Fatal("flynn_noise_peer ask PORT CONTRACT SERVER_KEY | serve CONTRACT SECRET")
	}
}
