// Package broken has servers that break the protocols, for tests of how clients handle that.
package broken

import "net"

// Serve runs does on each connection to a loopback port, and then closes the connection. It returns the address, as "127.0.0.1:port", and a
// function that ends the server.
func Serve(does func(c *net.TCPConn)) (address string, end func(), err error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				does(c)
			}()
		}
	}()
	return l.Addr().String(), func() { _ = l.Close() }, nil
}
