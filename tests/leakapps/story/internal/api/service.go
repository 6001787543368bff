// Package api is the story's service: a REST API whose handler encrypts orders.
package api

import (
	"crypto/cipher"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"story/internal/catalogue"
	"story/internal/encryption"
	"story/internal/leak"
	"story/internal/pricing"
	"story/internal/session"
)

// Order is the document that is encrypted: a few dozen lines with the whole description of each product.
type Order struct {
	User  string      `json:"user"`
	Cents int         `json:"cents"`
	Rules []string    `json:"rules"`
	Made  time.Time   `json:"made"`
	Lines []OrderLine `json:"lines"`
}

// OrderLine is one position of an order.
type OrderLine struct {
	Number   int `json:"number"`
	Quantity int `json:"quantity"`
	catalogue.Product
}

type service struct {
	products     []catalogue.Product
	lines        int
	aead         cipher.AEAD
	quotes       *pricing.Client
	sessions     *session.Store
	sessionBytes int
	leaks        *leak.Switch
	requests     *prometheus.CounterVec
}

func (s *service) routes() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.Recovery(), s.count)
	engine.POST("/orders/:user", s.order)
	engine.GET("/orders/:user", s.order)
	return engine
}

func (s *service) count(c *gin.Context) {
	c.Next()
	s.requests.WithLabelValues(c.Request.Method, c.FullPath(), strconv.Itoa(c.Writer.Status())).Inc()
}

func (s *service) order(c *gin.Context) {
	user := c.Param("user")
	quote, err := s.quotes.FetchQuote(user)
	if err != nil {
		c.JSON(http.StatusBadGateway, gin.H{"error": err.Error()})
		return
	}
	sealed, plaintext, err := encryption.EncryptDatas(s.aead, s.document(user, quote))
	if err != nil {
		c.JSON(http.StatusInternalServerError, gin.H{"error": err.Error()})
		return
	}
	if s.leaks.On() && s.sessionBytes > 0 {
		s.sessions.Remember(user, plaintext, s.sessionBytes)
	}
	c.Data(http.StatusOK, "application/octet-stream", sealed)
}

func (s *service) document(user string, quote pricing.Quote) Order {
	order := Order{User: user, Cents: quote.Cents, Rules: quote.Rules, Made: time.Now().UTC()}
	order.Lines = make([]OrderLine, 0, s.lines)
	for number := range s.lines {
		product := s.products[(quote.Cents+number)%len(s.products)]
		order.Lines = append(order.Lines, OrderLine{Number: number, Quantity: 1 + number%7, Product: product})
	}
	return order
}
